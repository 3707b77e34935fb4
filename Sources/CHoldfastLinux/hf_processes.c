#include "hf_processes.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

// The C library of some hosts has no functions for these yet.
#define HF_SYS_PIDFD_SEND_SIGNAL 424
#define HF_SYS_PIDFD_OPEN 434

int hf_process_start(int process, uint64_t *start) {
  char path[32];
  snprintf(path, sizeof path, "/proc/%d/stat", process);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return errno == ENOENT ? -ESRCH : -errno;
  char text[1024];
  ssize_t length;
  do {
    length = read(fd, text, sizeof text - 1);
  } while (length < 0 && errno == EINTR);
  int error = length < 0 ? errno : 0;
  close(fd);
  if (length <= 0)
    return error ? -error : -ESRCH;
  text[length] = 0;
  // The name of the program, in parentheses, may contain spaces and parentheses. 19 fields follow
  // it before this one.
  char *field = strrchr(text, ')');
  for (int skipped = 0; field && skipped < 20; skipped++)
    field = strchr(field + 1, ' ');
  if (!field)
    return -EIO;
  *start = strtoull(field + 1, NULL, 10);
  return 0;
}

int hf_process_signal(int process, uint64_t start, int number) {
  int fd = (int)syscall(HF_SYS_PIDFD_OPEN, process, 0);
  if (fd < 0)
    return -errno;
  // From here on the number is that of the open process, which may have ended.
  uint64_t found;
  int error = hf_process_start(process, &found);
  if (error == 0 && found != start)
    error = -ESRCH;
  if (error == 0 && syscall(HF_SYS_PIDFD_SEND_SIGNAL, fd, number, NULL, 0) < 0)
    error = -errno;
  close(fd);
  return error;
}

int hf_process_touch(int process, uint64_t address, int write) {
  char byte;
  struct iovec here = {&byte, 1};
  struct iovec there = {(void *)(uintptr_t)address, 1};
  ssize_t done = process_vm_readv(process, &here, 1, &there, 1, 0);
  if (done == 1 && write)
    done = process_vm_writev(process, &here, 1, &there, 1, 0);
  return done < 0 ? -errno : done == 1 ? 0 : -EFAULT;
}
