/// What the Swift half of the library needs of C; not installed.
#ifndef HF_ABI_H
#define HF_ABI_H

#include <stdint.h>

/// Whether this process was forked after the library's first call: its handles are the parent's.
/// The function notes that call, so each call begins with it.
int hf_abi_is_child(void);

/// Whether the calling thread has made this process by fork(2), before the library's first call.
///
/// The locks of Swift's runtime have the number of the thread that holds them, which the runtime asks
/// the kernel for once. This thread's is that of the parent's thread since the fork. So a lock that
/// another thread waits for could not be released.
int hf_abi_is_forked_thread(void);

/// Calls a function on a thread of its own and waits for it. The error that it keeps becomes that of
/// the calling thread. Returns 0, or the error of pthread_create(3), and has called nothing then.
int hf_abi_call_elsewhere(void (*function)(void *context), void *context);

/// Keeps the error of a call that has no thread, without code in Swift, and returns its status.
int32_t hf_abi_fail_without_thread(int problem);

/// Keeps the error of a call in such a process, without code in Swift, and returns its status.
int32_t hf_abi_fail_in_child(void);

/// Keeps the last error of the calling thread: a line, and the same as JSON.
void hf_abi_set_error(const char *message, const char *json);

#endif
