/// userfaultfd(2) for windows. All functions return 0 or a negative errno unless said otherwise.
#ifndef HF_USERFAULT_H
#define HF_USERFAULT_H

#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

/// Opens a non-blocking userfaultfd that sees the kernel's own faults too, such as KVM's for its
/// guests: by the system call, or by /dev/userfaultfd. `wanted` are the bits of UFFDIO_API that it
/// asks the kernel for. Returns a descriptor or a negative errno: ENOTSUP without a feature.
int hf_userfault_open(uint64_t wanted);

/// The negative errno of an answer to UFFDIO_API, or 0: `result` is that of ioctl(2), `error` is
/// errno, which has a meaning only after a failure, and `found` are the features of the answer.
/// ENOTSUP if one of the features `wanted` is missing.
int hf_userfault_problem(int result, int error, uint64_t found, uint64_t wanted);

/// The faults that a range traps; to be combined.
enum { HF_TRAP_MISSING = 1, HF_TRAP_MINOR = 2, HF_TRAP_WRITE = 4 };

/// UFFDIO_REGISTER with the traps of `traps`. ENOTSUP if minor faults could not be resolved.
int hf_userfault_register(int fd, void *start, size_t length, int traps);

/// UFFDIO_UNREGISTER: the kernel serves faults itself again; threads that wait there are woken.
int hf_userfault_unregister(int fd, void *start, size_t length);

/// UFFDIO_CONTINUE until the whole range is in the page tables, in which existing entries of `page`
/// bytes stay as they are. If `read_only` is not zero, writes to the new entries are trapped
/// (UFFDIO_CONTINUE_MODE_WP).
int hf_userfault_continue(int fd, void *start, size_t length, size_t page, int read_only);

/// UFFDIO_WRITEPROTECT: traps writes to the existing entries or, if `read_only` is zero, no longer;
/// then threads that wait there are woken.
int hf_userfault_protect(int fd, void *start, size_t length, int read_only);

/// UFFDIO_WAKE: threads that wait there repeat their access.
int hf_userfault_wake(int fd, void *start, size_t length);

/// A page fault in which a thread waits.
typedef struct {
  /// The address, in this process.
  uint64_t address;
  /// The faulting thread, as gettid(2) numbers it.
  uint32_t thread;
  uint8_t is_write;
  /// Whether the page is in the page tables, write-protected.
  uint8_t is_protection;
} hf_userfault_event;

/// poll(2): waits until there is something to read, or `stop_fd` is readable. Returns 1 for the
/// first, 0 for the second. Where poll(2) refuses to wait, it returns 1 after a millisecond.
int hf_userfault_wait(int fd, int stop_fd);

/// read(2): reads at most `capacity` page faults, without waiting, and drops events of other kinds,
/// such as that of a moved mapping. Returns the number of page faults: 0, after a millisecond, where
/// read(2) is refused.
int hf_userfault_read(int fd, hf_userfault_event *events, int capacity);

/// write(2): makes a descriptor of `hf_event` readable.
int hf_signal(int fd);

#pragma clang assume_nonnull end

#endif
