#include "CHoldfastBench.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

// The new process. Other threads may have held locks at the fork, so it calls only what takes none
// in glibc: what signal-safety(7) lists, and prctl(2) and execvp(3), which it does not list.
static _Noreturn void become(char *const *words, pid_t parent, int input, int output, int errors,
                             int problem) {
  sigset_t none;
  sigemptyset(&none);
  // A signal from the terminal is for the benchmark, which ends the program in its own time. Where
  // the benchmark is killed, the program gets a signal at which it cleans up.
  if (setpgid(0, 0) == 0 && prctl(PR_SET_PDEATHSIG, SIGTERM) == 0 && getppid() == parent &&
      dup2(input, 0) >= 0 && dup2(output, 1) >= 0 && dup2(errors, 2) >= 0) {
    signal(SIGPIPE, SIG_DFL);
    signal(SIGXFSZ, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execvp(words[0], words);
  }
  int number = errno ? errno : ESRCH;
  ssize_t written = write(problem, &number, sizeof number);
  _exit(written < 0 ? 126 : 127);
}

int hf_bench_start(char *const *words, int *output, int *errors) {
  int lines[2] = {-1, -1}, report[2] = {-1, -1}, problem = 0;
  pid_t child = -1, parent = getpid();
  int input = open("/dev/null", O_RDONLY | O_CLOEXEC);
  *errors = memfd_create("holdfast-bench-errors", MFD_CLOEXEC);
  if (input < 0 || *errors < 0 || pipe2(lines, O_CLOEXEC) < 0 || pipe2(report, O_CLOEXEC) < 0 ||
      (child = fork()) < 0)
    problem = errno;
  if (child == 0)
    become(words, parent, input, lines[1], *errors, report[1]);
  close(input);
  close(lines[1]);
  close(report[1]);
  // Nothing comes from a process that has become the program: the pipe was closed with that.
  if (!problem) {
    ssize_t count;
    while ((count = read(report[0], &problem, sizeof problem)) < 0 && errno == EINTR)
      ;
    if (count != sizeof problem)
      problem = 0;
    else
      while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
        ;
  }
  close(report[0]);
  if (problem) {
    close(lines[0]);
    close(*errors);
    return -problem;
  }
  *output = lines[0];
  return child;
}

int64_t hf_bench_next_output(int file, void *bytes, size_t room, int milliseconds) {
  struct pollfd poll_file = {.fd = file, .events = POLLIN};
  int ready = poll(&poll_file, 1, milliseconds);
  if (ready < 0)
    return errno == EINTR ? -EAGAIN : -errno;
  if (ready == 0)
    return -EAGAIN;
  ssize_t count = read(file, bytes, room);
  if (count < 0)
    return errno == EINTR ? -EAGAIN : -errno;
  return count;
}

int hf_bench_ended(int process) {
  siginfo_t info = {0};
  if (waitid(P_PID, (id_t)process, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
    return errno == EINTR ? -EAGAIN : -errno;
  if (info.si_pid == 0)
    return -EAGAIN;
  // As long as the process has not been reaped, no other group has its number.
  kill(-process, SIGKILL);
  int status = 0;
  while (waitpid(process, &status, 0) < 0)
    if (errno != EINTR)
      return -errno;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
