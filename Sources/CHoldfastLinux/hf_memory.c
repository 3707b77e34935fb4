#include "hf_memory.h"

#include "hf_size_limit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MFD_HUGE_SHIFT
#define MFD_HUGE_SHIFT 26
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
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

int hf_allocate(int fd, uint64_t size) {
  hf_size_limit limit;
  int result;
  errno = 0;
  hf_block_size_signal(&limit);
  do {
    result = fallocate(fd, 0, 0, (off_t)size);
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

// Whether the kernel has been seen to lock new mappings, as after mlockall(MCL_FUTURE).
static atomic_bool locks;

// Unlocks a new mapping that is not accessible yet. Under mlockall(MCL_FUTURE) the kernel locks each
// new mapping, and populates it as soon as it is accessible.
static void unlock(void *start, size_t length) {
  // Refused for locked memory, and nothing is there that it could remove.
  if (madvise(start, length, MADV_DONTNEED) == 0 || errno != EINVAL)
    return;
  atomic_store_explicit(&locks, true, memory_order_relaxed);
  (void)munlock(start, length);
}

int hf_reserve(size_t length, void **start) {
  void *found =
      mmap(NULL, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (found == MAP_FAILED)
    return -errno;
  unlock(found, length);
  // Nothing is accessible in a child, so a failure matters to nobody.
  (void)madvise(found, length, MADV_DONTFORK);
  *start = found;
  return 0;
}

int hf_reserve_fixed(void *start, size_t length) {
  void *found = mmap(start, length, PROT_NONE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  if (found == MAP_FAILED)
    return -errno;
  // The same flags as the rest of the reservation has, so that the kernel joins them.
  unlock(start, length);
  (void)madvise(start, length, MADV_DONTFORK);
  return 0;
}

// Excludes the guest from core dumps and from children of fork(2), which would have the mapping
// without its traps. (A child that is made after the mmap(2) of accessible pages and before this has
// those, which are all of one guest.) All mappings of a hugetlb file get the same flags, without which the kernel
// would not share page tables between them.
static int advise(void *start, size_t length, int advice) {
  if (madvise(start, length, MADV_DONTFORK) < 0)
    return -errno;
  if (advice >= HF_ADVICE_NO_DUMP)
    (void)madvise(start, length, MADV_DONTDUMP);
  if (advice == HF_ADVICE_BASE_PAGES)
    (void)madvise(start, length, MADV_NOHUGEPAGE);
  return 0;
}

int hf_map(void *start, size_t length, int access, int fd, uint64_t offset, int advice) {
  void *found =
      mmap(start, length, protection(access), MAP_SHARED | MAP_FIXED, fd, (off_t)offset);
  if (found == MAP_FAILED)
    return -errno;
  // The kernel joins only mappings that are all locked or all not.
  if (atomic_load_explicit(&locks, memory_order_relaxed))
    (void)munlock(start, length);
  int result = advise(start, length, advice);
  if (result < 0)
    (void)mprotect(start, length, PROT_NONE);
  return result;
}

int hf_map_anonymous(size_t length, void **start) {
  void *found = NULL;
  int result = hf_reserve(length, &found);
  if (result < 0)
    return result;
  if ((result = hf_keep_private(found, length)) < 0) {
    munmap(found, length);
    return result;
  }
  *start = found;
  return 0;
}

int hf_map_anywhere(size_t length, int fd, uint64_t offset, int advice, void **start) {
  void *found = mmap(NULL, length, PROT_NONE, MAP_SHARED, fd, (off_t)offset);
  if (found == MAP_FAILED)
    return -errno;
  unlock(found, length);
  int result = advise(found, length, advice);
  if (result < 0) {
    munmap(found, length);
    return result;
  }
  *start = found;
  return 0;
}

int hf_move(void *from, size_t length, void *to) {
  void *found = mremap(from, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, to);
  return found == MAP_FAILED ? -errno : 0;
}

int hf_drop_translations(void *start, size_t length) {
  // Since Linux 5.18. MADV_DONTNEED refuses memory that mlockall(2) has locked.
  int advice = MADV_DONTNEED_LOCKED;
  for (;;) {
    if (madvise(start, length, advice) == 0)
      return 0;
    if (errno == EINVAL && advice == MADV_DONTNEED_LOCKED)
      advice = MADV_DONTNEED;
    else if (errno != EINTR && errno != EAGAIN)
      return -errno;
  }
}

int hf_guard(void *start, size_t length, int install) {
  int result;
  do {
    result = madvise(start, length, install ? MADV_GUARD_INSTALL : MADV_GUARD_REMOVE);
  } while (result < 0 && (errno == EINTR || errno == EAGAIN));
  return status(result);
}

int hf_unlock(void *start, size_t length) { return status(munlock(start, length)); }

int hf_keep_private(void *start, size_t length) {
  if (madvise(start, length, MADV_DONTDUMP) < 0)
    return -errno;
  // Reservations have it already, unless it failed there, which is of no account without access.
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
