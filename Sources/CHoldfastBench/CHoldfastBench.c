#include "CHoldfastBench.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef MFD_HUGE_SHIFT
#define MFD_HUGE_SHIFT 26
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef USERFAULTFD_IOC_NEW
#define USERFAULTFD_IOC_NEW _IO(0xAA, 0x00)
#endif

static const size_t alignment = (size_t)1 << 30;

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/// Addresses at a multiple of 1 GiB, like those of windows. `whole` and `total` are the range to
/// unmap.
static void *reserve(size_t length, void **whole, size_t *total) {
  *total = length + alignment;
  *whole = mmap(NULL, *total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (*whole == MAP_FAILED)
    return MAP_FAILED;
  return (void *)(((uintptr_t)*whole + alignment - 1) & ~(alignment - 1));
}

/// A thread's part of a range.
struct share {
  char *start;
  size_t length;
  /// The byte to fill it with, if the thread does so.
  int byte;
  /// What to copy to it, if the thread does so.
  const char *source;
  int problem;
};

/// Runs each part, a multiple of `unit`, on a thread, and waits for all. Returns 0 or an errno.
static int share_out(void *start, size_t length, size_t unit, int byte, const char *source,
                     int threads, void *(*work)(void *)) {
  pthread_t *workers = calloc((size_t)threads, sizeof *workers);
  struct share *shares = calloc((size_t)threads, sizeof *shares);
  int problem = workers && shares ? 0 : ENOMEM;
  if (problem)
    goto out;
  size_t piece = (length / (size_t)threads + unit - 1) / unit * unit;
  int started = 0;
  for (int index = 0; index < threads; index++) {
    size_t from = (size_t)index * piece < length ? (size_t)index * piece : length;
    size_t end = from + piece < length ? from + piece : length;
    // The last part has the rest of a length that is not a multiple.
    if (index + 1 == threads)
      end = length;
    shares[index] = (struct share){
        (char *)start + from, end - from, byte, source ? source + from : NULL, 0};
    if (index + 1 < threads && started == index &&
        pthread_create(&workers[index], NULL, work, &shares[index]) == 0)
      started++;
  }
  // This thread does the last part, and the parts for which no thread could be created.
  for (int index = started; index < threads; index++)
    work(&shares[index]);
  for (int index = 0; index < started; index++)
    pthread_join(workers[index], NULL);
  for (int index = 0; index < threads; index++)
    if (shares[index].problem)
      problem = shares[index].problem;
out:
  free(workers);
  free(shares);
  return problem;
}

// Maps a file with the flags of the arena's own mapping. Only then does the kernel let mappings of a
// hugetlb file share their page tables.
static int map_file(void *start, size_t length, int fd) {
  if (mmap(start, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED ||
      madvise(start, length, MADV_DONTFORK) < 0 || madvise(start, length, MADV_DONTDUMP) < 0)
    return -errno;
  return 0;
}

static int populate(char *start, size_t length) {
  return madvise(start, length, MADV_POPULATE_WRITE) < 0 ? -errno : 0;
}

// Reads a byte of each GiB, after which all of its pages must be in the page tables, and populates
// the rest.
static int touch(char *start, size_t length) {
  size_t done = 0;
  for (; done + alignment <= length; done += alignment)
    (void)*(volatile char *)(start + done);
  return done < length ? populate(start + done, length - done) : 0;
}

// Whether the last page of each whole GiB is in the page tables.
static int is_entered(char *start, size_t length) {
  for (size_t done = 0; done + alignment <= length; done += alignment) {
    unsigned char flag = 0;
    if (mincore(start + done + alignment - 4096, 4096, &flag) < 0 || !(flag & 1))
      return 0;
  }
  return 1;
}

// The time to map a file and to enter its pages.
static double enter_file(int fd, size_t length, int (*enter)(char *, size_t)) {
  void *whole;
  size_t total;
  void *start = reserve(length, &whole, &total);
  if (start == MAP_FAILED)
    return -errno;
  double began = now();
  double result = map_file(start, length, fd);
  if (result == 0)
    result = enter(start, length);
  if (result == 0)
    result = now() - began;
  if (result > 0 && !is_entered(start, length))
    result = -EOPNOTSUPP;
  munmap(whole, total);
  return result;
}

double hf_bench_remap(int fd, size_t length) { return enter_file(fd, length, populate); }

double hf_bench_touch(int fd, size_t length) { return enter_file(fd, length, touch); }

double hf_bench_munmap(int fd, size_t length) {
  void *whole;
  size_t total;
  void *start = reserve(length, &whole, &total);
  if (start == MAP_FAILED)
    return -errno;
  double result = map_file(start, length, fd);
  if (result == 0)
    result = populate(start, length);
  if (result == 0) {
    double began = now();
    result = munmap(start, length) < 0 ? -errno : now() - began;
  }
  munmap(whole, total);
  return result;
}

static void *memset_share(void *argument) {
  struct share *share = argument;
  memset(share->start, share->byte, share->length);
  return NULL;
}

double hf_bench_fill(uint64_t address, size_t length, int byte, int threads) {
  double began = now();
  int problem = share_out((void *)(uintptr_t)address, length, (size_t)2 << 20, byte, NULL, threads,
                          memset_share);
  return problem ? -problem : now() - began;
}

static void *copy_share(void *argument) {
  struct share *share = argument;
  memcpy(share->start, share->source, share->length);
  return NULL;
}

double hf_bench_copy(uint64_t from, uint64_t to, size_t length, int threads) {
  double began = now();
  int problem = share_out((void *)(uintptr_t)to, length, (size_t)2 << 20, 0,
                          (const char *)(uintptr_t)from, threads, copy_share);
  return problem ? -problem : now() - began;
}

int hf_bench_is_zero(uint64_t address, size_t length) {
  const char *start = (const char *)(uintptr_t)address;
  // Every byte is the one before it, and the first is zero.
  return length == 0 || (start[0] == 0 && memcmp(start, start + 1, length - 1) == 0);
}

static int open_userfault(uint64_t features) {
  int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    int device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
    if (device < 0)
      return -1;
    fd = ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
    close(device);
    if (fd < 0)
      return -1;
  }
  struct uffdio_api api = {.api = UFFD_API, .features = features};
  if (ioctl(fd, UFFDIO_API, &api) < 0) {
    close(fd);
    return -1;
  }
  return fd;
}

double hf_bench_continue(int fd, size_t length, size_t page, int hugetlb) {
  int fault = open_userfault(hugetlb ? UFFD_FEATURE_MINOR_HUGETLBFS : UFFD_FEATURE_MINOR_SHMEM);
  if (fault < 0)
    return -errno;
  void *whole;
  size_t total;
  void *start = reserve(length, &whole, &total);
  if (start == MAP_FAILED) {
    close(fault);
    return -ENOMEM;
  }
  double began = now();
  double result = 0;
  struct uffdio_register region = {
      .range = {.start = (uintptr_t)start, .len = length},
      .mode = UFFDIO_REGISTER_MODE_MINOR,
  };
  if (mmap(start, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED ||
      ioctl(fault, UFFDIO_REGISTER, &region) < 0)
    result = -errno;
  for (size_t done = 0; result == 0 && done < length; done += page) {
    struct uffdio_continue request = {.range = {.start = (uintptr_t)start + done, .len = page}};
    while (ioctl(fault, UFFDIO_CONTINUE, &request) < 0) {
      if (errno == EAGAIN || errno == EINTR)
        continue;
      result = -errno;
      break;
    }
  }
  if (result == 0)
    result = now() - began;
  munmap(whole, total);
  close(fault);
  return result;
}

static void *populate_share(void *argument) {
  struct share *share = argument;
  if (share->length && madvise(share->start, share->length, MADV_POPULATE_WRITE) < 0)
    share->problem = errno;
  return NULL;
}

double hf_bench_populate(size_t length, unsigned huge_shift, int kind, int threads) {
  void *whole;
  size_t total;
  int fd = -1;
  if (kind != HF_BENCH_PRIVATE) {
    unsigned flags = MFD_CLOEXEC;
    if (huge_shift)
      flags |= MFD_HUGETLB | huge_shift << MFD_HUGE_SHIFT;
    fd = memfd_create("holdfast-bench", flags);
    if (fd < 0)
      return -errno;
  }
  void *start = reserve(length, &whole, &total);
  double result = 0;
  if (start == MAP_FAILED || (fd >= 0 && ftruncate(fd, (off_t)length) < 0)) {
    result = -errno;
    goto out;
  }
  double began = now();
  int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE : MAP_SHARED;
  if (mmap(start, length, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, 0) == MAP_FAILED) {
    result = -errno;
    goto out;
  }
  if (kind != HF_BENCH_PLAIN)
    madvise(start, length, MADV_HUGEPAGE);
  size_t unit = huge_shift ? (size_t)1 << huge_shift : (size_t)2 << 20;
  int problem = share_out(start, length, unit, 0, NULL, threads, populate_share);
  result = problem ? -problem : now() - began;
out:
  if (start != MAP_FAILED)
    munmap(whole, total);
  if (fd >= 0)
    close(fd);
  return result;
}

double hf_bench_map_populate(size_t length, int huge) {
  // MAP_POPULATE takes no advice, so huge pages are those that the host gives to all memory.
  double began = now();
  int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE | (huge ? MAP_HUGETLB | 21 << MAP_HUGE_SHIFT : 0);
  void *start = mmap(NULL, length, PROT_READ | PROT_WRITE, flags, -1, 0);
  double result = start == MAP_FAILED ? -errno : now() - began;
  unsigned char last = 0;
  if (start != MAP_FAILED) {
    // The call succeeds where memory is short.
    if (mincore((char *)start + length - 4096, 4096, &last) < 0 || !(last & 1))
      result = -ENOMEM;
    munmap(start, length);
  }
  return result;
}

double hf_bench_fork(size_t length, int huge) {
  void *whole;
  size_t total;
  char *start = reserve(length, &whole, &total);
  if ((void *)start == MAP_FAILED)
    return -errno;
  double result = 0;
  if (mmap(start, length, PROT_READ | PROT_WRITE,
           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
    result = -errno;
  if (result == 0) {
    madvise(start, length, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    result = populate(start, length);
  }
  if (result == 0) {
    double began = now();
    pid_t child = fork();
    if (child == 0)
      _exit(0);
    result = child < 0 ? -errno : now() - began;
    while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
      ;
  }
  munmap(whole, total);
  return result;
}

static void *lock_share(void *argument) {
  struct share *share = argument;
  if (share->length && mlock(share->start, share->length) < 0)
    share->problem = errno;
  return NULL;
}

double hf_bench_mlock(size_t length, int huge, int threads) {
  void *whole;
  size_t total;
  void *start = reserve(length, &whole, &total);
  if (start == MAP_FAILED)
    return -errno;
  double result = 0;
  if (mmap(start, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
      MAP_FAILED)
    result = -errno;
  if (result == 0) {
    // Hosts differ in what they give to programs that ask for neither.
    madvise(start, length, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    double began = now();
    int problem = share_out(start, length, (size_t)2 << 20, 0, NULL, threads, lock_share);
    result = problem ? -problem : now() - began;
  }
  munmap(whole, total);
  return result;
}
