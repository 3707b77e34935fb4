#include "hf_userfault.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef USERFAULTFD_IOC_NEW
#define USERFAULTFD_IOC_NEW _IO(0xAA, 0x00)
#endif

static int open_any(void) {
  int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
  if (fd >= 0)
    return fd;
  int problem = errno;
  int device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
  if (device < 0)
    return -problem;
  fd = ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
  problem = errno;
  close(device);
  return fd < 0 ? -problem : fd;
}

int hf_userfault_open(int hugetlb) {
  int fd = open_any();
  if (fd < 0)
    return fd;
  uint64_t wanted = hugetlb ? UFFD_FEATURE_MINOR_HUGETLBFS : UFFD_FEATURE_MINOR_SHMEM;
  struct uffdio_api api = {.api = UFFD_API, .features = wanted};
  if (ioctl(fd, UFFDIO_API, &api) < 0 || (api.features & wanted) == 0) {
    int problem = errno == EINVAL || errno == 0 ? ENOTSUP : errno;
    close(fd);
    return -problem;
  }
  return fd;
}

int hf_userfault_register_minor(int fd, void *start, size_t length) {
  struct uffdio_register request = {
      .range = {.start = (uintptr_t)start, .len = length},
      .mode = UFFDIO_REGISTER_MODE_MINOR,
  };
  if (ioctl(fd, UFFDIO_REGISTER, &request) < 0)
    return -errno;
  if ((request.ioctls & ((uint64_t)1 << _UFFDIO_CONTINUE)) == 0)
    return -ENOTSUP;
  return 0;
}

int hf_userfault_continue(int fd, void *start, size_t length, size_t page) {
  uintptr_t place = (uintptr_t)start;
  uintptr_t end = place + length;
  while (place < end) {
    struct uffdio_continue request = {.range = {.start = place, .len = end - place}};
    if (ioctl(fd, UFFDIO_CONTINUE, &request) == 0)
      return 0;
    if (request.mapped > 0) {
      place += (uintptr_t)request.mapped;
    } else if (errno == EEXIST) {
      place += page;
    } else if (errno != EAGAIN && errno != EINTR) {
      return -errno;
    }
  }
  return 0;
}

int hf_userfault_unregister(int fd, void *start, size_t length) {
  struct uffdio_range range = {.start = (uintptr_t)start, .len = length};
  return ioctl(fd, UFFDIO_UNREGISTER, &range) < 0 ? -errno : 0;
}

int hf_userfault_wake(int fd, void *start, size_t length) {
  struct uffdio_range range = {.start = (uintptr_t)start, .len = length};
  return ioctl(fd, UFFDIO_WAKE, &range) < 0 ? -errno : 0;
}
