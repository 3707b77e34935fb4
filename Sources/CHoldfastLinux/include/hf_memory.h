/// Mapping and populating memory: calls that Glibc's Swift overlay lacks or imports without their
/// constants. All return 0 or a negative errno unless said otherwise.
#ifndef HF_MEMORY_H
#define HF_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

/// memfd_create(2), close-on-exec and sealable; `huge_shift` is the base two logarithm of the
/// hugetlb page size, or 0 for shmem. Returns a descriptor or a negative errno.
int hf_memfd_create(const char *name, unsigned huge_shift);

/// fcntl(F_ADD_SEALS) with F_SEAL_SHRINK and F_SEAL_GROW: the size stays as it is.
int hf_seal_size(int fd);

int hf_truncate(int fd, uint64_t size);

/// fallocate(2) with FALLOC_FL_PUNCH_HOLE: gives the memory of a part back, which reads as zero when it
/// is touched again.
int hf_punch(int fd, uint64_t offset, uint64_t length);
int hf_close(int fd);

enum {
  HF_READ = 1,
  HF_WRITE = 2,
};

/// Reserves addresses: private, no access, no memory. Stores where they start.
int hf_reserve(size_t length, void *_Nullable *_Nonnull start);

/// Turns a range back into reserved addresses, which takes away what was mapped there.
int hf_reserve_again(void *start, size_t length);

/// What the kernel is told of a mapping: that it is to be left out of core dumps, and further that it is
/// to keep to base pages (MADV_NOHUGEPAGE), also later.
enum {
  HF_ADVICE_NONE = 0,
  HF_ADVICE_NO_DUMP = 1,
  HF_ADVICE_BASE_PAGES = 2,
};

/// mmap(2) of a file, MAP_SHARED and MAP_FIXED.
int hf_map(void *start, size_t length, int access, int fd, uint64_t offset, int advice);

/// Keeps private memory out of core dumps and of children of fork(2), which would have it copied at the
/// next write.
int hf_keep_private(void *start, size_t length);

int hf_unmap(void *start, size_t length);
int hf_protect(void *start, size_t length, int access);

/// madvise(2): MADV_POPULATE_WRITE or, for `access` without HF_WRITE, MADV_POPULATE_READ. Never
/// raises SIGBUS: where memory cannot be had it returns the error.
int hf_populate(void *start, size_t length, int access);

/// madvise(2): MADV_HUGEPAGE, or without `wanted` MADV_NOHUGEPAGE: what is huge stays so, and the
/// kernel's khugepaged leaves the rest alone.
int hf_advise_huge(void *start, size_t length, int wanted);

/// mlock(2).
int hf_lock(void *start, size_t length);

/// mincore(2): one byte for each page of 4 KiB.
int hf_mincore(void *start, size_t length, unsigned char *residence);

/// Maps memory of this process alone, of which nothing is there, at addresses of the kernel's choice.
/// Returns 0 or a negative errno.
int hf_map_anonymous(size_t length, void *_Nullable *_Nonnull start);

/// Maps a part of a file for reading and writing at addresses of the kernel's choice.
int hf_map_anywhere(size_t length, int fd, uint64_t offset, int advice,
                    void *_Nullable *_Nonnull start);

/// Moves a mapping over what is at `to`, in one step for whoever touches there (mremap with
/// MREMAP_FIXED).
int hf_move(void *from, size_t length, void *to);

/// Takes the page-table entries of a shared mapping away; the file keeps its pages (MADV_DONTNEED).
int hf_drop_translations(void *start, size_t length);

#pragma clang assume_nonnull end

#endif
