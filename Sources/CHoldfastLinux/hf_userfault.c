#include "hf_userfault.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef USERFAULTFD_IOC_NEW
#define USERFAULTFD_IOC_NEW _IO(0xAA, 0x00)
#endif
// Newer than the headers of some distributions.
#ifndef UFFDIO_CONTINUE_MODE_WP
#define UFFDIO_CONTINUE_MODE_WP ((uint64_t)1 << 1)
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

int hf_userfault_problem(int result, int error, uint64_t found, uint64_t wanted) {
  // A successful call leaves errno as an earlier one set it.
  if (result >= 0)
    return (found & wanted) == wanted ? 0 : -ENOTSUP;
  // The kernel's answer to a feature that it does not know.
  return error == EINVAL ? -ENOTSUP : -error;
}

int hf_userfault_open(uint64_t wanted) {
  int fd = open_any();
  if (fd < 0)
    return fd;
  struct uffdio_api api = {.api = UFFD_API, .features = wanted};
  int result = ioctl(fd, UFFDIO_API, &api);
  int problem = hf_userfault_problem(result, errno, api.features, wanted);
  if (problem < 0) {
    close(fd);
    return problem;
  }
  return fd;
}

int hf_userfault_continue(int fd, void *start, size_t length, size_t page, int read_only) {
  uintptr_t next = (uintptr_t)start;
  uintptr_t end = next + length;
  uintptr_t most = length;
  while (next < end) {
    uintptr_t part = end - next < most ? end - next : most;
    struct uffdio_continue request = {
        .range = {.start = next, .len = part},
        .mode = read_only ? UFFDIO_CONTINUE_MODE_WP : 0,
    };
    if (ioctl(fd, UFFDIO_CONTINUE, &request) == 0) {
      next += part;
      most = length;
    } else if (request.mapped > 0) {
      next += (uintptr_t)request.mapped;
    } else if (errno == EEXIST) {
      next += page;
    } else if (errno == ENOENT && part > page) {
      // The range has several mappings: split mappings of hugetlb memory do not merge again.
      most = part / 2 / page * page;
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

int hf_userfault_register(int fd, void *start, size_t length, int traps) {
  struct uffdio_register request = {
      .range = {.start = (uintptr_t)start, .len = length},
      .mode = (traps & HF_TRAP_MISSING ? UFFDIO_REGISTER_MODE_MISSING : 0) |
              (traps & HF_TRAP_MINOR ? UFFDIO_REGISTER_MODE_MINOR : 0) |
              (traps & HF_TRAP_WRITE ? UFFDIO_REGISTER_MODE_WP : 0),
  };
  if (ioctl(fd, UFFDIO_REGISTER, &request) < 0)
    return -errno;
  if (traps & HF_TRAP_MINOR && (request.ioctls & ((uint64_t)1 << _UFFDIO_CONTINUE)) == 0) {
    // A failure leaves nothing registered, so that no caller's access waits for a handler.
    hf_userfault_unregister(fd, start, length);
    return -ENOTSUP;
  }
  return 0;
}

int hf_userfault_protect(int fd, void *start, size_t length, int read_only) {
  struct uffdio_writeprotect request = {
      .range = {.start = (uintptr_t)start, .len = length},
      .mode = read_only ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
  };
  int result;
  do {
    result = ioctl(fd, UFFDIO_WRITEPROTECT, &request);
  } while (result < 0 && (errno == EAGAIN || errno == EINTR));
  return result < 0 ? -errno : 0;
}

static void pause_briefly(void) {
  struct timespec millisecond = {.tv_nsec = 1000000};
  nanosleep(&millisecond, NULL);
}

int hf_userfault_wait(int fd, int stop_fd) {
  struct pollfd files[2] = {{.fd = fd, .events = POLLIN}, {.fd = stop_fd, .events = POLLIN}};
  int result;
  do {
    result = poll(files, 2, -1);
  } while (result < 0 && errno == EINTR);
  if (result < 0) {
    // The process has lowered RLIMIT_NOFILE below the number of descriptors here or refuses poll(2),
    // as some sandboxes do, or the kernel is out of memory. Faults are served all the same, a little
    // later.
    pause_briefly();
    return 1;
  }
  return files[1].revents == 0;
}

int hf_userfault_read(int fd, hf_userfault_event *events, int capacity) {
  struct uffd_msg messages[16];
  int count = 0;
  while (count < capacity) {
    size_t room = (size_t)(capacity - count);
    if (room > 16)
      room = 16;
    ssize_t bytes = read(fd, messages, room * sizeof messages[0]);
    if (bytes < 0) {
      if (errno == EINTR)
        continue;
      // Refused by a sandbox, since the descriptor is right: the faults wait as long as that lasts.
      if (errno != EAGAIN)
        pause_briefly();
      return count;
    }
    int found = (int)((size_t)bytes / sizeof messages[0]);
    for (int i = 0; i < found; i++) {
      if (messages[i].event != UFFD_EVENT_PAGEFAULT)
        continue;
      uint64_t flags = messages[i].arg.pagefault.flags;
      events[count++] = (hf_userfault_event){
          .address = messages[i].arg.pagefault.address,
          .thread = messages[i].arg.pagefault.feat.ptid,
          .is_write = (flags & (UFFD_PAGEFAULT_FLAG_WRITE | UFFD_PAGEFAULT_FLAG_WP)) != 0,
          .is_protection = (flags & UFFD_PAGEFAULT_FLAG_WP) != 0,
      };
    }
    if ((size_t)found < room)
      return count;
  }
  return count;
}

int hf_signal(int fd) {
  uint64_t one = 1;
  return write(fd, &one, sizeof one) < 0 && errno != EAGAIN ? -errno : 0;
}
