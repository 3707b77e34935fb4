/// Mapping and populating memory: calls that Glibc's Swift overlay lacks or imports without their
/// constants. All functions return 0 or a negative errno unless said otherwise.
#ifndef HF_MEMORY_H
#define HF_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

/// memfd_create(2), close-on-exec and sealable; `huge_shift` is the base two logarithm of the
/// hugetlb page size, or 0 for shmem. Returns a descriptor or a negative errno.
int hf_memfd_create(const char *name, unsigned huge_shift);

/// fcntl(2), F_ADD_SEALS with F_SEAL_SHRINK and F_SEAL_GROW: the size cannot change any more.
int hf_seal_size(int fd);

/// ftruncate(2). Beyond RLIMIT_FSIZE, which holds for files in memory too, it fails with EFBIG, and
/// no signal is sent.
int hf_truncate(int fd, uint64_t size);

/// fallocate(2): gives a file its size and the space for all of it, which reads as zero.
int hf_allocate(int fd, uint64_t size);

/// fallocate(2) with FALLOC_FL_PUNCH_HOLE: frees the memory of a part, which reads as zero when it
/// is accessed again.
int hf_punch(int fd, uint64_t offset, uint64_t length);

/// close(2).
int hf_close(int fd);

/// Ways to access memory; HF_WRITE includes reading.
enum {
  HF_READ = 1,
  HF_WRITE = 2,
};

/// mmap(2) with PROT_NONE: reserves addresses that the kernel chooses, without memory, unlocked and
/// excluded from children of fork(2). Stores the start.
int hf_reserve(size_t length, void *_Nullable *_Nonnull start);

/// mmap(2) with PROT_NONE and MAP_FIXED: makes a range a reservation as `hf_reserve` does, in place
/// of what is mapped there.
int hf_reserve_fixed(void *start, size_t length);

/// Advice to the kernel about a mapping: exclude it from core dumps (MADV_DONTDUMP), and map base
/// pages only (MADV_NOHUGEPAGE). Each includes the one before it.
enum {
  HF_ADVICE_NONE = 0,
  HF_ADVICE_NO_DUMP = 1,
  HF_ADVICE_BASE_PAGES = 2,
};

/// mmap(2) of a file, with MAP_SHARED and MAP_FIXED, excluded from children of fork(2). After a
/// failure the old mapping may be there, or the new one without access.
int hf_map(void *start, size_t length, int access, int fd, uint64_t offset, int advice);

/// madvise(2) with MADV_DONTDUMP and MADV_DONTFORK: excludes private memory from core dumps and
/// from children of fork(2), for which it would be copied at the next write.
int hf_keep_private(void *start, size_t length);

/// munmap(2).
int hf_unmap(void *start, size_t length);

/// mprotect(2).
int hf_protect(void *start, size_t length, int access);

/// madvise(2) with MADV_POPULATE_WRITE or, if `access` lacks HF_WRITE, MADV_POPULATE_READ. Never
/// raises SIGBUS: a shortage of memory is an error.
int hf_populate(void *start, size_t length, int access);

/// madvise(2) with MADV_HUGEPAGE or, if `wanted` is zero, MADV_NOHUGEPAGE: existing huge pages
/// stay, and khugepaged makes no others.
int hf_advise_huge(void *start, size_t length, int wanted);

/// mlock(2).
int hf_lock(void *start, size_t length);

/// mincore(2): one byte for each page of 4 KiB.
int hf_mincore(void *start, size_t length, unsigned char *residence);

/// mmap(2) with MAP_PRIVATE and MAP_ANONYMOUS, without access or pages, not locked, excluded from
/// core dumps and from children of fork(2). Stores the start.
int hf_map_anonymous(size_t length, void *_Nullable *_Nonnull start);

/// mmap(2) of a part of a file with MAP_SHARED, without access, not locked, excluded from children
/// of fork(2). Stores the start.
int hf_map_anywhere(size_t length, int fd, uint64_t offset, int advice,
                    void *_Nullable *_Nonnull start);

/// mremap(2) with MREMAP_FIXED: moves a mapping over what is mapped at `to`. Other threads see one
/// or the other at every moment.
int hf_move(void *from, size_t length, void *to);

/// madvise(2) with MADV_DONTNEED_LOCKED or, before Linux 5.18, MADV_DONTNEED: removes the
/// page-table entries of a shared mapping, locked or not; the file keeps its pages.
int hf_drop_translations(void *start, size_t length);

/// madvise(2) with MADV_GUARD_INSTALL or, if `install` is zero, MADV_GUARD_REMOVE: removes the
/// page-table entries of a part of a mapping and makes each access to it fail, without splitting
/// the mapping. EINVAL before Linux 6.13, for files before 6.15, and for hugetlb and locked memory.
int hf_guard(void *start, size_t length, int install);

/// munlock(2).
int hf_unlock(void *start, size_t length);

#pragma clang assume_nonnull end

#endif
