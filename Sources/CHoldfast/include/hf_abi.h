/// What the Swift half of the library needs of C; not installed.
#ifndef HF_ABI_H
#define HF_ABI_H

#include <stdint.h>

/// Whether this process was forked after the library's first call: its handles are the parent's.
/// The function notes that call, so each call begins with it.
int hf_abi_is_child(void);

/// Keeps the error of a call in such a process, without code in Swift, and returns its status.
int32_t hf_abi_fail_in_child(void);

/// Keeps the last error of the calling thread: a line, and the same as JSON.
void hf_abi_set_error(const char *message, const char *json);

#endif
