/// Calls that may pass RLIMIT_FSIZE. The kernel does not only fail them with EFBIG but also sends
/// SIGXFSZ to the calling thread, which ends the process, with all its guests. Between these two
/// functions the signal is blocked, and one that the call caused is consumed.
#ifndef HF_SIZE_LIMIT_H
#define HF_SIZE_LIMIT_H

#include <errno.h>
#include <signal.h>
#include <time.h>

typedef struct {
  sigset_t before;
  int was_pending;
} hf_size_limit;

static inline void hf_block_size_signal(hf_size_limit *state) {
  sigset_t signal;
  sigset_t pending;
  sigemptyset(&signal);
  sigaddset(&signal, SIGXFSZ);
  pthread_sigmask(SIG_BLOCK, &signal, &state->before);
  sigpending(&pending);
  state->was_pending = sigismember(&pending, SIGXFSZ) == 1;
}

/// Keeps errno.
static inline void hf_unblock_size_signal(const hf_size_limit *state) {
  int problem = errno;
  if (problem == EFBIG && !state->was_pending) {
    sigset_t signal;
    struct timespec none = {0, 0};
    sigemptyset(&signal);
    sigaddset(&signal, SIGXFSZ);
    while (sigtimedwait(&signal, NULL, &none) < 0 && errno == EINTR)
      ;
  }
  pthread_sigmask(SIG_SETMASK, &state->before, NULL);
  errno = problem;
}

#endif
