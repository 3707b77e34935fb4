/// A page fault handler in C: the floor that Holdfast's handler is compared with.
#ifndef CFAULTS_H
#define CFAULTS_H

#include <stddef.h>
#include <stdint.h>

/// Creates a memfd whose pages are all resident, of hugetlb pages if `hugetlb` is not zero. Returns
/// a descriptor or a negative errno.
int cfaults_open(size_t length, int hugetlb);

/// close(2).
void cfaults_close(int fd);

/// Reserves `length` bytes of addresses and writes to each page of `page` bytes in order. A thread
/// serves the page faults with the pages of the resident file `fd`, in the order of the accesses
/// (poll, read, mmap with MAP_FIXED, MADV_POPULATE_WRITE, UFFDIO_WAKE).
///
/// Stores the nanoseconds that the access to each page took in `touches`. Returns 0 or a negative
/// errno.
int cfaults_run(int fd, size_t length, size_t page, uint64_t *touches);

/// Writes to each page of `page` bytes from `address` on, in order, and stores the nanoseconds that
/// each access took in `touches`.
void cfaults_touch(uint64_t address, size_t length, size_t page, uint64_t *touches);

#endif
