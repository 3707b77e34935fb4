#include "CHoldfastBench.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

// A guest in real mode has 1 MiB. It writes to one byte of each of these pages.
enum { GUEST = 1 << 20, FIRST = 0x20000, LAST = 0x90000, PAGE = 4096 };

static const unsigned char program[] = {
    0xB8, 0x00, 0x20,              // mov ax, 0x2000
    0x8E, 0xD8,                    // mov ds, ax
    0xC6, 0x06, 0x00, 0x00, 0x01,  // mov byte [0], 1
    0x05, 0x00, 0x01,              // add ax, 0x100
    0x3D, 0x00, 0x90,              // cmp ax, 0x9000
    0x72, 0xF1,                    // jb to the second instruction
    0xF4,                          // hlt
};

typedef struct {
  int kvm, vm, cpu, fault, stop, file;
  char *plain, *guest;
  struct kvm_run *run;
  size_t run_size;
  int problem;
} machine;

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static int serve(machine *self, uintptr_t address) {
  struct uffdio_continue request = {
      .range = {.start = address & ~(uintptr_t)(PAGE - 1), .len = PAGE}};
  int status = ioctl(self->fault, UFFDIO_CONTINUE, &request);
  return status < 0 && errno != EEXIST ? -errno : 0;
}

static void *handle(void *argument) {
  machine *self = argument;
  for (;;) {
    struct pollfd files[2] = {{.fd = self->fault, .events = POLLIN},
                              {.fd = self->stop, .events = POLLIN}};
    if (poll(files, 2, -1) < 0) continue;
    if (files[1].revents) return NULL;
    struct uffd_msg message;
    if (read(self->fault, &message, sizeof message) != sizeof message ||
        message.event != UFFD_EVENT_PAGEFAULT)
      continue;
    int status = serve(self, message.arg.pagefault.address);
    if (status < 0) {
      // No processor may wait for ever: the kernel serves what is no longer registered.
      self->problem = status;
      struct uffdio_range range = {.start = (uintptr_t)self->guest, .len = GUEST};
      ioctl(self->fault, UFFDIO_UNREGISTER, &range);
      return NULL;
    }
  }
}

// Runs until HLT; serves what KVM_RUN returns for on this thread if no other does.
static int run(machine *self, int is_self) {
  for (;;) {
    struct kvm_run *run = self->run;
    int status = ioctl(self->cpu, KVM_RUN, 0) < 0 ? -errno : 0;
    if (status == -EINTR) continue;
    if (status == 0 && run->exit_reason == KVM_EXIT_HLT) return 0;
    if (!is_self) return status < 0 ? status : -EIO;
    // KVM_EXIT_MEMORY_FAULT: flags, address, length.
    uint64_t fault[3];
    memcpy(fault, (char *)run + offsetof(struct kvm_run, hw), sizeof fault);
    int is_emulated = status == 0 && run->exit_reason == KVM_EXIT_MMIO;
    if (!is_emulated && !(status == -EFAULT && run->exit_reason == 39)) return -EOPNOTSUPP;
    uint64_t address = is_emulated ? run->mmio.phys_addr : fault[1];
    if (address < FIRST || address >= LAST || run->mmio.len > 8) return -EFAULT;
    status = serve(self, (uintptr_t)self->guest + address);
    if (status < 0) return status;
    if (is_emulated && run->mmio.is_write)
      memcpy(self->plain + address, run->mmio.data, run->mmio.len);
    else if (is_emulated)
      memcpy(run->mmio.data, self->plain + address, run->mmio.len);
  }
}

static int make_memory(machine *self, int is_self) {
  self->file = memfd_create("holdfast-bench", MFD_CLOEXEC);
  if (self->file < 0 || ftruncate(self->file, GUEST) < 0) return -errno;
  self->plain = mmap(NULL, GUEST, PROT_READ | PROT_WRITE, MAP_SHARED, self->file, 0);
  self->guest = mmap(NULL, GUEST, PROT_READ | PROT_WRITE, MAP_SHARED, self->file, 0);
  if (self->plain == MAP_FAILED || self->guest == MAP_FAILED) return -errno;
  if (madvise(self->guest, GUEST, MADV_NOHUGEPAGE) < 0 && errno != EINVAL) return -errno;
  memset(self->plain, 0, GUEST);
  memcpy(self->plain + 0x1000, program, sizeof program);
  // The kernel's own accesses must not fault.
  if (madvise(self->guest, FIRST, 23 /* MADV_POPULATE_WRITE */) < 0) return -errno;
  self->fault = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
  if (self->fault < 0) return -errno;
  struct uffdio_api api = {.api = UFFD_API, 
                           .features = UFFD_FEATURE_MINOR_SHMEM |
                                       (is_self ? UFFD_FEATURE_SIGBUS : 0)};
  if (ioctl(self->fault, UFFDIO_API, &api) < 0) return -errno;
  struct uffdio_register request = {
      .range = {.start = (uintptr_t)self->guest + FIRST, .len = LAST - FIRST},
      .mode = UFFDIO_REGISTER_MODE_MINOR};
  return ioctl(self->fault, UFFDIO_REGISTER, &request) < 0 ? -errno : 0;
}

static int make_machine(machine *self) {
  self->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
  if (self->kvm < 0) return -errno;
  self->vm = ioctl(self->kvm, KVM_CREATE_VM, 0);
  if (self->vm < 0) return -errno;
  struct kvm_userspace_memory_region slot = {.memory_size = GUEST,
                                             .userspace_addr = (uintptr_t)self->guest};
  if (ioctl(self->vm, KVM_SET_USER_MEMORY_REGION, &slot) < 0) return -errno;
  self->cpu = ioctl(self->vm, KVM_CREATE_VCPU, 0);
  if (self->cpu < 0) return -errno;
  int size = ioctl(self->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
  if (size < 0) return -errno;
  self->run_size = (size_t)size;
  self->run = mmap(NULL, self->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, self->cpu, 0);
  if (self->run == MAP_FAILED) return -errno;
  struct kvm_sregs special;
  if (ioctl(self->cpu, KVM_GET_SREGS, &special) < 0) return -errno;
  special.cs.base = 0;
  special.cs.selector = 0;
  if (ioctl(self->cpu, KVM_SET_SREGS, &special) < 0) return -errno;
  struct kvm_regs registers = {.rip = 0x1000, .rflags = 2};
  return ioctl(self->cpu, KVM_SET_REGS, &registers) < 0 ? -errno : 0;
}

static double measure(machine *self, int is_self) {
  int status = make_memory(self, is_self);
  if (status == 0) status = make_machine(self);
  if (status < 0) return status;
  self->stop = eventfd(0, EFD_CLOEXEC);
  if (self->stop < 0) return -errno;
  pthread_t thread;
  status = pthread_create(&thread, NULL, handle, self);
  if (status) return -status;
  double start = now();
  status = run(self, is_self);
  double seconds = now() - start;
  uint64_t one = 1;
  if (write(self->stop, &one, sizeof one) < 0 && status == 0) status = -errno;
  pthread_join(thread, NULL);
  if (status == 0) status = self->problem;
  if (status < 0) return status;
  for (int place = FIRST; place < LAST; place += PAGE)
    if (self->plain[place] != 1) return -EIO;
  return seconds / ((LAST - FIRST) / PAGE);
}

double hf_bench_guest_faults(int is_self) {
  machine self = {.kvm = -1,
                  .vm = -1,
                  .cpu = -1,
                  .fault = -1,
                  .stop = -1,
                  .file = -1,
                  .plain = MAP_FAILED,
                  .guest = MAP_FAILED,
                  .run = MAP_FAILED};
  double seconds = measure(&self, is_self);
  if (self.run != MAP_FAILED) munmap(self.run, self.run_size);
  const int files[] = {self.cpu, self.vm, self.kvm, self.fault, self.stop, self.file};
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
    if (files[i] >= 0) close(files[i]);
  if (self.guest != MAP_FAILED) munmap(self.guest, GUEST);
  if (self.plain != MAP_FAILED) munmap(self.plain, GUEST);
  return seconds;
}
