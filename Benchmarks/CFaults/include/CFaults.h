/// A page fault handler as one would write it in C: the floor that Holdfast's is compared with.
#ifndef CFAULTS_H
#define CFAULTS_H

#include <stddef.h>
#include <stdint.h>

/// A file in memory, all of it there. Returns a descriptor or a negative errno.
int cfaults_open(size_t length, int hugetlb);

void cfaults_close(int fd);

/// Reserves `length` bytes of addresses, lets a thread answer their faults with pages of `page` bytes of a
/// file, which is in memory, from the offset 0 on in the order in which they are touched (poll, read,
/// mmap with MAP_FIXED, MADV_POPULATE_WRITE, UFFDIO_WAKE), and touches every page in order.
///
/// Writes what each touch took, in nanoseconds, to `touches`, one for each page. Returns 0 or a negative
/// errno.
int cfaults_run(int fd, size_t length, size_t page, uint64_t *touches);

/// Touches every page of `page` bytes from `address` on in order, and writes what each took.
void cfaults_touch(uint64_t address, size_t length, size_t page, uint64_t *touches);

#endif
