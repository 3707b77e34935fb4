#include "hf_memory.h"

#include "hf_size_limit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MFD_HUGE_SHIFT
#define MFD_HUGE_SHIFT 26
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

static int status(int result) { return result < 0 ? -errno : 0; }

static int protection(int access) {
  return (access & HF_READ ? PROT_READ : 0) | (access & HF_WRITE ? PROT_READ | PROT_WRITE : 0);
}

int hf_memfd_create(const char *name, unsigned huge_shift) {
  unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  if (huge_shift)
    flags |= MFD_HUGETLB | huge_shift << MFD_HUGE_SHIFT;
  int fd = memfd_create(name, flags);
  return fd < 0 ? -errno : fd;
}

int hf_seal_size(int fd) {
  return status(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW));
}

int hf_truncate(int fd, uint64_t size) {
  hf_size_limit limit;
  int result;
  errno = 0;
  hf_block_size_signal(&limit);
  do {
    result = ftruncate(fd, (off_t)size);
  } while (result < 0 && errno == EINTR);
  hf_unblock_size_signal(&limit);
  return status(result);
}

int hf_punch(int fd, uint64_t offset, uint64_t length) {
  int result;
  do {
    result =
        fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)length);
  } while (result < 0 && errno == EINTR);
  return status(result);
}

int hf_close(int fd) { return status(close(fd)); }

int hf_reserve(size_t length, void **start) {
  void *found =
      mmap(NULL, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (found == MAP_FAILED)
    return -errno;
  *start = found;
  return 0;
}

int hf_reserve_fixed(void *start, size_t length) {
  void *found = mmap(start, length, PROT_NONE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  return found == MAP_FAILED ? -errno : 0;
}

// Excludes the guest from core dumps. All mappings of a hugetlb file get the same flags, without
// which the kernel would not share page tables between them.
static void advise(void *start, size_t length, int advice) {
  if (advice >= HF_ADVICE_NO_DUMP)
    (void)madvise(start, length, MADV_DONTDUMP);
  if (advice == HF_ADVICE_BASE_PAGES)
    (void)madvise(start, length, MADV_NOHUGEPAGE);
}

int hf_map(void *start, size_t length, int access, int fd, uint64_t offset, int advice) {
  void *found =
      mmap(start, length, protection(access), MAP_SHARED | MAP_FIXED, fd, (off_t)offset);
  if (found == MAP_FAILED)
    return -errno;
  advise(start, length, advice);
  return 0;
}

int hf_map_anonymous(size_t length, void **start) {
  void *found = mmap(NULL, length, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (found == MAP_FAILED)
    return -errno;
  (void)madvise(found, length, MADV_DONTDUMP);
  *start = found;
  return 0;
}

int hf_map_anywhere(size_t length, int fd, uint64_t offset, int advice, void **start) {
  void *found = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);
  if (found == MAP_FAILED)
    return -errno;
  advise(found, length, advice);
  *start = found;
  return 0;
}

int hf_move(void *from, size_t length, void *to) {
  void *found = mremap(from, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, to);
  return found == MAP_FAILED ? -errno : 0;
}

int hf_drop_translations(void *start, size_t length) {
  int result;
  do {
    result = madvise(start, length, MADV_DONTNEED);
  } while (result < 0 && (errno == EINTR || errno == EAGAIN));
  return status(result);
}

int hf_keep_private(void *start, size_t length) {
  if (madvise(start, length, MADV_DONTDUMP) < 0)
    return -errno;
  return status(madvise(start, length, MADV_DONTFORK));
}

int hf_unmap(void *start, size_t length) { return status(munmap(start, length)); }

int hf_protect(void *start, size_t length, int access) {
  return status(mprotect(start, length, protection(access)));
}

int hf_populate(void *start, size_t length, int access) {
  int advice = access & HF_WRITE ? MADV_POPULATE_WRITE : MADV_POPULATE_READ;
  int result;
  do {
    result = madvise(start, length, advice);
  } while (result < 0 && (errno == EINTR || errno == EAGAIN));
  return status(result);
}

int hf_advise_huge(void *start, size_t length, int wanted) {
  return status(madvise(start, length, wanted ? MADV_HUGEPAGE : MADV_NOHUGEPAGE));
}

int hf_lock(void *start, size_t length) { return status(mlock(start, length)); }

int hf_mincore(void *start, size_t length, unsigned char *residence) {
  int result;
  do {
    result = mincore(start, length, residence);
  } while (result < 0 && errno == EAGAIN);
  return status(result);
}
