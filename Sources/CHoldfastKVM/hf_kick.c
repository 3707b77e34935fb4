#include "CHoldfastKVM.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int kick_signal;

static void nothing(int signal) { (void)signal; }

static void choose(void) {
  kick_signal = -EBUSY;
  // From above: programs that use such signals count from SIGRTMIN on.
  for (int candidate = SIGRTMAX; candidate >= SIGRTMIN; candidate--) {
    struct sigaction old;
    if (sigaction(candidate, NULL, &old) < 0 || (old.sa_flags & SA_SIGINFO) ||
        old.sa_handler != SIG_DFL)
      continue;
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = nothing;
    // A late signal must not interrupt the thread's next call. KVM_RUN returns nevertheless.
    action.sa_flags = SA_RESTART;
    if (sigaction(candidate, &action, NULL) < 0) continue;
    kick_signal = candidate;
    return;
  }
}

int hf_kvm_kick_signal(void) {
  pthread_once(&once, choose);
  return kick_signal;
}

static int change(int how) {
  sigset_t set, before;
  sigemptyset(&set);
  sigaddset(&set, kick_signal);
  pthread_sigmask(how, &set, &before);
  return sigismember(&before, kick_signal);
}

int hf_kvm_unblock_kick(void) { return change(SIG_UNBLOCK) == 1; }
void hf_kvm_block_kick(void) { change(SIG_BLOCK); }

int hf_kvm_kick(int thread) {
  return syscall(SYS_tgkill, getpid(), thread, kick_signal) < 0 ? -errno : 0;
}

int hf_kvm_thread(void) { return (int)syscall(SYS_gettid); }
