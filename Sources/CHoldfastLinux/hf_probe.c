#include "hf_probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/kvm.h>
#include <linux/userfaultfd.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <unistd.h>

// Headers of Linux before 5.11 and 6.1 lack these; running kernels then answer EINVAL or ENOENT.
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif
#ifndef USERFAULTFD_IOC_NEW
#define USERFAULTFD_IOC_NEW _IO(0xAA, 0x00)
#endif

/// Stores the features of an open userfaultfd and closes it.
static int features_of(int fd, uint64_t *features) {
  struct uffdio_api api = {.api = UFFD_API};
  int result = ioctl(fd, UFFDIO_API, &api) < 0 ? -errno : 0;
  close(fd);
  if (!result) *features = api.features;
  return result;
}

int hf_probe_userfault(int user_mode_only, uint64_t *features) {
  int flags = O_CLOEXEC | O_NONBLOCK | (user_mode_only ? UFFD_USER_MODE_ONLY : 0);
  int fd = (int)syscall(SYS_userfaultfd, flags);
  return fd < 0 ? -errno : features_of(fd, features);
}

int hf_probe_userfault_device(const char *path, uint64_t *features) {
  int device = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
  if (device < 0) return -errno;
  int fd = ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
  int failed = fd < 0 ? errno : 0;
  close(device);
  return failed ? -failed : features_of(fd, features);
}

/// Opens the device, makes one request that returns a number, and closes it.
static int ask_kvm(const char *path, unsigned long request, unsigned long argument) {
  int device = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
  if (device < 0) return -errno;
  int answer = ioctl(device, request, argument);
  int result = answer < 0 ? -errno : answer;
  close(device);
  return result;
}

int hf_probe_thp_disable(void) {
  int answer = prctl(PR_GET_THP_DISABLE, 0UL, 0UL, 0UL, 0UL);
  return answer < 0 ? -errno : answer;
}

/// A number of units in bytes, or the largest number if there are more.
static uint64_t bytes(unsigned long count, uint64_t unit) {
  uint64_t product;
  return __builtin_mul_overflow(count, unit, &product) ? UINT64_MAX : product;
}

int hf_probe_memory(struct hf_host_memory *memory) {
  struct sysinfo found;
  if (sysinfo(&found) < 0) return -errno;
  uint64_t unit = found.mem_unit ? found.mem_unit : 1;
  memory->total = bytes(found.totalram, unit);
  memory->free = bytes(found.freeram, unit);
  memory->buffers = bytes(found.bufferram, unit);
  return 0;
}

int hf_probe_kvm(const char *path) { return ask_kvm(path, KVM_GET_API_VERSION, 0); }

int hf_probe_kvm_extension(const char *path, int capability) {
  return ask_kvm(path, KVM_CHECK_EXTENSION, (unsigned long)capability);
}

int hf_probe_capabilities(uint64_t *capabilities) {
  // glibc has no wrapper; the number 0 is the caller.
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  struct __user_cap_data_struct data[2];
  if (syscall(SYS_capget, &header, data) < 0)
    return -errno;
  *capabilities = (uint64_t)data[1].effective << 32 | data[0].effective;
  return 0;
}
