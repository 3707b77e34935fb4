#include "CHoldfastBench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/// The block size of dd(1) with bs=1M.
static const size_t block = (size_t)1 << 20;

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

void hf_bench_pattern(uint64_t address, size_t length, uint64_t seed) {
  uint64_t *words = (uint64_t *)(uintptr_t)address;
  for (size_t index = 0; index < length / 8; index++)
    words[index] = (index + seed) * 0x9e3779b97f4a7c15u | 1;
}

// The same file past the page cache, or a duplicate where the file system has no such thing or
// `past_cache` is zero.
static int open_again(int fd, int flags, int past_cache) {
  char path[32];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  int direct = past_cache ? open(path, flags | O_DIRECT | O_CLOEXEC) : -1;
  return direct >= 0 ? direct : fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

double hf_bench_write(int fd, uint64_t address, size_t length, int past_cache) {
  int file = open_again(fd, O_WRONLY, past_cache);
  if (file < 0)
    return -errno;
  const char *bytes = (const char *)(uintptr_t)address;
  double began = now();
  double result = 0;
  for (size_t done = 0; result == 0 && done < length;) {
    size_t part = length - done < block ? length - done : block;
    ssize_t count = pwrite(file, bytes + done, part, (off_t)done);
    if (count > 0)
      done += (size_t)count;
    else if (count == 0 || errno != EINTR)
      result = count == 0 ? -EIO : -errno;
  }
  if (result == 0 && fsync(file) < 0)
    result = -errno;
  if (result == 0)
    result = now() - began;
  close(file);
  return result;
}

double hf_bench_read(int fd, size_t length) {
  int direct = open_again(fd, O_RDONLY, 1);
  if (direct < 0)
    return -errno;
  void *buffer = NULL;
  int problem = posix_memalign(&buffer, block, block);
  if (problem) {
    close(direct);
    return -problem;
  }
  memset(buffer, 1, block);
  double began = now();
  double result = 0;
  for (size_t done = 0; result == 0 && done < length;) {
    size_t part = length - done < block ? length - done : block;
    ssize_t count = pread(direct, buffer, part, (off_t)done);
    if (count > 0)
      done += (size_t)count;
    else if (count == 0 || errno != EINTR)
      result = count == 0 ? -EIO : -errno;
  }
  if (result == 0)
    result = now() - began;
  free(buffer);
  close(direct);
  return result;
}

int hf_bench_uncache(int fd) {
  int problem = posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  return -problem;
}

static int compare(const void *left, const void *right) {
  double first = *(const double *)left, second = *(const double *)right;
  return (first > second) - (first < second);
}

// The median of the time that `step` takes for each piece of a range of memory.
static double median(uint64_t address, size_t length, size_t piece, int fd,
                     int (*step)(int, char *, size_t, off_t)) {
  size_t count = length / piece;
  double *seconds = count ? calloc(count, sizeof *seconds) : NULL;
  if (!seconds)
    return count ? -ENOMEM : -EINVAL;
  double result = 0;
  for (size_t index = 0; result == 0 && index < count; index++) {
    double began = now();
    int problem = step(fd, (char *)(uintptr_t)address + index * piece, piece,
                       (off_t)(index * piece));
    seconds[index] = now() - began;
    if (problem)
      result = -problem;
  }
  if (result == 0) {
    qsort(seconds, count, sizeof *seconds, compare);
    result = seconds[count / 2];
  }
  free(seconds);
  return result;
}

static int read_piece(int fd, char *to, size_t length, off_t offset) {
  for (size_t done = 0; done < length;) {
    ssize_t count = pread(fd, to + done, length - done, offset + (off_t)done);
    if (count > 0)
      done += (size_t)count;
    else if (count == 0 || errno != EINTR)
      return count == 0 ? EIO : errno;
  }
  return 0;
}

double hf_bench_pread(int fd, uint64_t address, size_t length, size_t piece) {
  return median(address, length, piece, fd, read_piece);
}

// The kernel writes the byte, so that memory that cannot be had is an error.
static int touch_piece(int fd, char *to, size_t length, off_t offset) {
  (void)length;
  (void)offset;
  ssize_t count = read(fd, to, 1);
  return count < 0 ? errno : count == 1 ? 0 : EIO;
}

double hf_bench_faults(uint64_t address, size_t length, size_t piece) {
  int zeros = open("/dev/zero", O_RDONLY | O_CLOEXEC);
  if (zeros < 0)
    return -errno;
  double result = median(address, length, piece, zeros, touch_piece);
  close(zeros);
  return result;
}
