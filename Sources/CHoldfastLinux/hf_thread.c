#include "hf_thread.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef SCHED_IDLE
#define SCHED_IDLE 5
#endif

int hf_thread_id(void) { return (int)syscall(SYS_gettid); }

int hf_thread_set_ordinary(int thread) {
  struct sched_param parameters = {.sched_priority = 0};
  if (syscall(SYS_sched_setscheduler, thread, SCHED_OTHER, &parameters) < 0)
    return -errno;
  return setpriority(PRIO_PROCESS, (id_t)thread, 0) < 0 ? -errno : 0;
}

int hf_thread_set_idle(void) {
  struct sched_param parameters = {.sched_priority = 0};
  // The system call applies to the calling thread; the wrapper of some C libraries only fails.
  return syscall(SYS_sched_setscheduler, 0, SCHED_IDLE, &parameters) < 0 ? -errno : 0;
}

int hf_thread_set_nice(int nice) {
  return setpriority(PRIO_PROCESS, (id_t)hf_thread_id(), nice) < 0 ? -errno : 0;
}

int hf_thread_set_name(const char *name) { return prctl(PR_SET_NAME, name) < 0 ? -errno : 0; }

int hf_signal_wait(const void *set, void *info, long milliseconds) {
  struct timespec limit = {.tv_sec = milliseconds / 1000,
                           .tv_nsec = milliseconds % 1000 * 1000000};
  int number = sigtimedwait(set, info, &limit);
  return number < 0 ? -errno : number;
}
