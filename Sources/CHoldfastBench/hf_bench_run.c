#include "CHoldfastBench.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static int spawn(pid_t *child, char *const *words, int input, int output, int keep) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  int problem = posix_spawn_file_actions_init(&actions);
  if (problem)
    return problem;
  problem = posix_spawnattr_init(&attributes);
  if (problem)
    goto out;
  sigset_t none, expected;
  sigemptyset(&none);
  sigemptyset(&expected);
  sigaddset(&expected, SIGPIPE);
  sigaddset(&expected, SIGXFSZ);
  if (!(problem = posix_spawn_file_actions_adddup2(&actions, input, 0)) &&
      !(problem = posix_spawn_file_actions_adddup2(&actions, output, 1)) &&
      !(problem = posix_spawn_file_actions_adddup2(&actions, output, 2)) &&
      // dup2(2) to the same number clears close-on-exec in a child of posix_spawn(3).
      (keep < 0 || !(problem = posix_spawn_file_actions_adddup2(&actions, keep, keep))) &&
      !(problem = posix_spawnattr_setsigmask(&attributes, &none)) &&
      !(problem = posix_spawnattr_setsigdefault(&attributes, &expected)) &&
      !(problem = posix_spawnattr_setflags(&attributes,
                                           POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK)))
    problem = posix_spawnp(child, words[0], &actions, &attributes, words, environ);
  posix_spawnattr_destroy(&attributes);
out:
  posix_spawn_file_actions_destroy(&actions);
  return problem;
}

int hf_bench_run(char *const *words, const char *input, int keep, char *output, size_t room,
                 int64_t *faults) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0)
    return -errno;
  int problem = 0, status = 0;
  pid_t child = 0;
  struct rusage usage = {0};
  size_t length = strlen(input);
  int written = memfd_create("holdfast-bench-output", MFD_CLOEXEC);
  // It fits into the pipe, so the write does not wait. Closing the pipe ends the input.
  if (written < 0 || write(ends[1], input, length) != (ssize_t)length)
    problem = errno ? errno : EIO;
  close(ends[1]);
  if (!problem)
    problem = spawn(&child, words, ends[0], written, keep);
  close(ends[0]);
  if (!problem) {
    while (wait4(child, &status, 0, &usage) < 0) {
      if (errno != EINTR) {
        problem = errno;
        break;
      }
    }
  }
  *faults = usage.ru_minflt;
  output[0] = 0;
  if (!problem) {
    ssize_t count = pread(written, output, room - 1, 0);
    output[count > 0 ? count : 0] = 0;
  }
  if (written >= 0)
    close(written);
  if (problem)
    return -problem;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// The state of a process, and the bytes that it had resident at most; 0 for what is not told.
static char state(pid_t process, int64_t *peak) {
  char path[64], text[4096];
  snprintf(path, sizeof path, "/proc/%d/status", (int)process);
  *peak = 0;
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0)
    return 0;
  ssize_t count = read(file, text, sizeof text - 1);
  close(file);
  text[count > 0 ? count : 0] = 0;
  const char *line = strstr(text, "\nVmHWM:");
  if (line)
    *peak = strtoll(line + 7, NULL, 10) * 1024;
  line = strstr(text, "\nState:");
  return line ? line[7 + strspn(line + 7, "\t ")] : 0;
}

int64_t hf_bench_peak(char *const *words) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
    return -errno;
  char block[4096] = {0};
  for (size_t size = sizeof block; size > 0; size /= 2)
    while (write(ends[1], block, size) > 0)
      ;
  pid_t child = 0;
  int problem = fcntl(ends[1], F_SETFL, 0) < 0 ? errno : spawn(&child, words, ends[0], ends[1], -1);
  close(ends[0]);
  close(ends[1]);
  if (problem)
    return -problem;
  // It has ended or waits for the pipe if it sleeps in five looks with the same peak.
  int64_t peak = 0, last = 0;
  for (int look = 0, quiet = 0; look < 400 && quiet < 5; look++) {
    const struct timespec pause = {.tv_nsec = 5000000};
    nanosleep(&pause, NULL);
    char now = state(child, &peak);
    if (now == 'Z' || now == 0)
      break;
    quiet = now == 'S' && peak == last ? quiet + 1 : 0;
    last = peak;
  }
  kill(child, SIGKILL);
  while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
    ;
  return last > 0 ? last : -ENODATA;
}

static double seconds(struct timeval time) { return (double)time.tv_sec + (double)time.tv_usec * 1e-6; }

double hf_bench_processor_seconds(void) {
  double sum = 0;
  const int whose[] = {RUSAGE_SELF, RUSAGE_CHILDREN};
  for (int index = 0; index < 2; index++) {
    struct rusage usage;
    if (getrusage(whose[index], &usage) == 0)
      sum += seconds(usage.ru_utime) + seconds(usage.ru_stime);
  }
  return sum;
}

double hf_bench_touch_pages(int fd, size_t length, size_t page, int64_t *faults) {
  struct rusage before, after;
  struct timespec start, end;
  if (getrusage(RUSAGE_THREAD, &before) < 0)
    return -(double)errno;
  clock_gettime(CLOCK_MONOTONIC, &start);
  char *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
  if (memory == MAP_FAILED)
    return -(double)errno;
  for (size_t position = 0; position < length; position += page)
    (void)*(volatile char *)(memory + position);
  clock_gettime(CLOCK_MONOTONIC, &end);
  int problem = getrusage(RUSAGE_THREAD, &after) < 0 ? errno : 0;
  munmap(memory, length);
  if (problem)
    return -(double)problem;
  *faults = after.ru_minflt - before.ru_minflt;
  return (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) * 1e-9;
}
