/// Other processes: their signals, and their memory. Functions return a negative errno on failure.
#ifndef HF_PROCESSES_H
#define HF_PROCESSES_H

#include <stddef.h>
#include <stdint.h>

/// When a process began, in clock ticks since the boot (proc_pid_stat(5)). A number that is used
/// again has another. ESRCH without such a process.
int hf_process_start(int process, uint64_t *_Nonnull start);

/// pidfd_send_signal(2) to the process that began at that time. ESRCH if it has ended.
int hf_process_signal(int process, uint64_t start, int signal);

/// process_vm_readv(2) of one byte, which brings its page into the process. With `write` also
/// process_vm_writev(2) of the same byte, which gives the process its own copy of a page that is
/// mapped privately; the process must be stopped meanwhile.
int hf_process_touch(int process, uint64_t address, int write);

#endif
