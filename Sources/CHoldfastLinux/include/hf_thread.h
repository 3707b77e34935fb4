/// The priority and name of threads. All functions return 0 or a negative errno unless said
/// otherwise.
#ifndef HF_THREAD_H
#define HF_THREAD_H

/// gettid(2).
int hf_thread_id(void);

/// sched_setscheduler(2) of the calling thread with SCHED_IDLE: it runs only where a processor
/// would be idle.
int hf_thread_set_idle(void);

/// sched_setscheduler(2) of any thread with SCHED_OTHER, and setpriority(2) with 0. The host may
/// refuse that to an unprivileged process.
int hf_thread_set_ordinary(int thread);

/// setpriority(2) of the calling thread alone.
int hf_thread_set_nice(int nice);

/// prctl(2) with PR_SET_NAME, of the calling thread; the kernel keeps 15 bytes.
int hf_thread_set_name(const char *_Nonnull name);

/// sigtimedwait(2): waits for a signal of `set`, a sigset_t, and stores its siginfo_t in `info`.
/// Returns the signal's number or a negative errno.
int hf_signal_wait(const void *_Nonnull set, void *_Nonnull info, long milliseconds);

#endif
