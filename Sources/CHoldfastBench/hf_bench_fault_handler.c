#include "CHoldfastBench.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

typedef struct {
  int fault_fd, stop_fd, file;
  size_t page;
  int problem;
} handler;

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static int answer(handler *self, uint64_t address, off_t offset) {
  uintptr_t place = address & ~((uintptr_t)self->page - 1);
  if (mmap((void *)place, self->page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, self->file,
           offset) == MAP_FAILED ||
      madvise((void *)place, self->page, MADV_POPULATE_WRITE) < 0)
    return -errno;
  struct uffdio_range range = {.start = place, .len = self->page};
  return ioctl(self->fault_fd, UFFDIO_WAKE, &range) < 0 ? -errno : 0;
}

static void *handle(void *argument) {
  handler *self = argument;
  off_t offset = 0;
  for (;;) {
    struct pollfd files[2] = {{.fd = self->fault_fd, .events = POLLIN},
                              {.fd = self->stop_fd, .events = POLLIN}};
    if (poll(files, 2, -1) < 0)
      continue;
    if (files[1].revents)
      return NULL;
    struct uffd_msg message;
    if (read(self->fault_fd, &message, sizeof message) != sizeof message ||
        message.event != UFFD_EVENT_PAGEFAULT)
      continue;
    int status = answer(self, message.arg.pagefault.address, offset);
    offset += (off_t)self->page;
    if (status < 0) {
      // No thread may wait forever: when the descriptor is closed the kernel serves the faults.
      self->problem = status;
      close(self->fault_fd);
      self->fault_fd = -1;
      return NULL;
    }
  }
}

void hf_bench_touch_each(uint64_t address, size_t length, size_t page, double *seconds) {
  volatile char *place = (volatile char *)(uintptr_t)address;
  for (size_t i = 0; i < length / page; i++) {
    double start = now();
    place[i * page] = 1;
    seconds[i] = now() - start;
  }
}

int hf_bench_resident_file(size_t length, int hugetlb) {
  int fd = memfd_create("holdfast-bench", MFD_CLOEXEC | (hugetlb ? MFD_HUGETLB | 21 << 26 : 0));
  if (fd < 0)
    return -errno;
  void *place = MAP_FAILED;
  if (ftruncate(fd, (off_t)length) == 0)
    place = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  int status = place == MAP_FAILED ? -errno : 0;
  if (status == 0) {
    // Of huge pages where the host allows them, like Holdfast's arena.
    (void)madvise(place, length, MADV_HUGEPAGE);
    if (madvise(place, length, MADV_POPULATE_WRITE) < 0)
      status = -errno;
    munmap(place, length);
  }
  if (status < 0) {
    close(fd);
    return status;
  }
  return fd;
}

int hf_bench_handler_faults(int fd, size_t length, size_t page, double *seconds) {
  handler self = {.file = fd, .page = page, .stop_fd = -1};
  int status = 0;
  self.fault_fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
  if (self.fault_fd < 0)
    return -errno;
  size_t whole = length + page;
  char *area = mmap(NULL, whole, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (area == MAP_FAILED) {
    status = -errno;
    goto close_fault;
  }
  uintptr_t start = ((uintptr_t)area + page - 1) & ~((uintptr_t)page - 1);
  struct uffdio_api api = {.api = UFFD_API};
  struct uffdio_register trap = {.range = {.start = start, .len = length},
                                 .mode = UFFDIO_REGISTER_MODE_MISSING};
  self.stop_fd = eventfd(0, EFD_CLOEXEC);
  pthread_t thread;
  if (self.stop_fd < 0 || ioctl(self.fault_fd, UFFDIO_API, &api) < 0 ||
      ioctl(self.fault_fd, UFFDIO_REGISTER, &trap) < 0) {
    status = -errno;
    goto unmap;
  }
  status = -pthread_create(&thread, NULL, handle, &self);
  if (status < 0)
    goto unmap;
  hf_bench_touch_each(start, length, page, seconds);
  uint64_t one = 1;
  if (write(self.stop_fd, &one, sizeof one) < 0)
    status = -errno;
  pthread_join(thread, NULL);
  if (self.problem < 0)
    status = self.problem;
unmap:
  if (self.stop_fd >= 0)
    close(self.stop_fd);
  munmap(area, whole);
close_fault:
  if (self.fault_fd >= 0)
    close(self.fault_fd);
  return status;
}
