/// userfaultfd(2) as far as windows need it: regions whose pages exist in the file but may be
/// reached only once they were continued.
#ifndef HF_USERFAULT_H
#define HF_USERFAULT_H

#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

/// Opens a userfaultfd that sees faults of the kernel too (those that KVM makes for its guests),
/// by the system call or by /dev/userfaultfd, with minor faults on shmem or, where `hugetlb` is not
/// zero, on hugetlb. Returns a descriptor or a negative errno: ENOTSUP without the feature.
int hf_userfault_open(int hugetlb);

/// UFFDIO_REGISTER with UFFDIO_REGISTER_MODE_MINOR. Returns 0 or a negative errno.
int hf_userfault_register_minor(int fd, void *start, size_t length);

/// UFFDIO_CONTINUE until the whole range is mapped; pages of `page` bytes that are mapped already
/// are passed over. Returns 0 or a negative errno.
int hf_userfault_continue(int fd, void *start, size_t length, size_t page);

/// UFFDIO_UNREGISTER: from now on the kernel serves faults by itself; who waits there is woken.
int hf_userfault_unregister(int fd, void *start, size_t length);

/// UFFDIO_WAKE: who waits there touches again.
int hf_userfault_wake(int fd, void *start, size_t length);

/// The ways in which a region is trapped; to be joined.
enum { HF_TRAP_MISSING = 1, HF_TRAP_MINOR = 2, HF_TRAP_WRITE = 4 };

/// Opens a userfaultfd that does not block, for windows whose faults a thread answers: it traps absent
/// pages, pages that are in the file but not mapped, and writes, of anonymous memory, shmem and hugetlb,
/// and mappings keep it when they are moved. Returns a descriptor or a negative errno: ENOTSUP without
/// the features.
int hf_userfault_open_paging(void);

/// UFFDIO_REGISTER with the traps of `traps`. Returns 0 or a negative errno.
int hf_userfault_register(int fd, void *start, size_t length, int traps);

/// As `hf_userfault_continue`, with UFFDIO_CONTINUE_MODE_WP if `read_only` is not zero: a write is
/// trapped.
int hf_userfault_continue_as(int fd, void *start, size_t length, size_t page, int read_only);

/// UFFDIO_WRITEPROTECT: writes of the pages that are there are trapped from now on, or no longer; who
/// waits is woken then. Returns 0 or a negative errno.
int hf_userfault_protect(int fd, void *start, size_t length, int read_only);

/// A fault that somebody waits in.
typedef struct {
  uint64_t address;
  /// The system's number of the thread that touched.
  uint32_t thread;
  uint8_t is_write;
  uint8_t is_protection;
} hf_userfault_event;

/// Waits until there is something to read, or `stop_fd` is readable. Returns whether the first is so,
/// or a negative errno.
int hf_userfault_wait(int fd, int stop_fd);

/// Reads at most `capacity` faults without waiting, passing over what else there is to read, as the
/// word of a mapping that was moved. Returns how many, or a negative errno.
int hf_userfault_read(int fd, hf_userfault_event *events, int capacity);

/// A descriptor that becomes readable with `hf_signal`. Returns it or a negative errno.
int hf_signal_open(void);
int hf_signal(int fd);

#pragma clang assume_nonnull end

#endif
