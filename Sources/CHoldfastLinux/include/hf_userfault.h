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

#pragma clang assume_nonnull end

#endif
