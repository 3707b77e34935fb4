// A guest whose access the kernel refuses to end, or to make read-only, when it has a fork or would
// get one.
#include "count.h"
#include "refusal.h"

#include <errno.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define MIB ((uint64_t)1 << 20)

// All by which pages of a fork become read-only and a guest's access ends, but not what makes a
// window.
static const struct refusal no_access_at_all = {"", SYS_mprotect, 2, ZERO, NULL};
static const struct refusal no_fixed_too = {"", SYS_mmap, 3, MAP_FIXED, &no_access_at_all};
static const struct refusal kept_too = {"", SYS_madvise, EXACTLY + 2, MADV_DONTNEED, &no_fixed_too};
static const struct refusal locked_too = {"", SYS_madvise, EXACTLY + 2, 24, &kept_too};
static const struct refusal writable = {"all that ends writing", SYS_ioctl, EXACTLY + 1,
                                        UFFDIO_WRITEPROTECT, &locked_too};

// A guest of an arena of its own, with memory that is written.
static holdfast_guest make_parent(holdfast_arena *arena, holdfast_segment *ram, char **memory) {
  struct holdfast_arena_options arena_options = {
      .struct_size = sizeof(arena_options), .size = 4 * MIB, .purpose = HOLDFAST_FOR_FORKING,
      .backing = HOLDFAST_BACKING_BASE};
  struct holdfast_guest_options options = {
      .struct_size = sizeof(options), .limit = MIB, .demand_paging = 1};
  holdfast_guest guest;
  if (!done(holdfast_arena_create(&arena_options, arena)) ||
      !done(holdfast_guest_create(*arena, &options, &guest)) ||
      !done(holdfast_segment_create(guest, "ram", MIB, ram)) ||
      !done(holdfast_map(guest, *ram, 0, 0, MIB, HOLDFAST_READ | HOLDFAST_WRITE, 0, NULL)) ||
      !done(holdfast_guest_host_address(guest, 0, MIB, (void **)memory)))
    stop("a guest that forks");
  memset(*memory, 0x5A, MIB);
  return guest;
}

// A guest keeps its access to memory that it shares with a fork, or would share.
static void lose_parent(void) {
  holdfast_arena arenas[2];
  holdfast_segment rams[2];
  holdfast_guest child, other, parents[2];
  char *memory[2], bytes[4096];
  int copy = memfd_create("copy", MFD_CLOEXEC);
  for (int index = 0; index < 2; index++)
    parents[index] = make_parent(&arenas[index], &rams[index], &memory[index]);
  if (copy < 0 || !done(holdfast_guest_fork(parents[1], &child, NULL)))
    stop("a fork before");
  install(&writable, EPERM);
  for (int count = 0; count < 2; count++)
    if (done(holdfast_guest_fork(parents[0], &other, NULL))) {
      memory[0][0] = 0x77;
      int sees = done(holdfast_guest_read(other, 0, bytes, 1)) && bytes[0] == 0x77;
      fprintf(stderr, "refuse.c: a guest forks that may write%s\n",
              sees ? ", and its fork sees it" : "");
      _exit(2);
    }
  // The other one has a fork, which must not write where it may read.
  done(holdfast_unmap(parents[1], 0, MIB));
  done(holdfast_segment_close(rams[1]));
  memset(bytes, 0x77, sizeof(bytes));
  done(holdfast_guest_write(child, 0, bytes, sizeof(bytes)));
  if (write(copy, memory[1], 1) == 1 && memory[1][0] != 0x5A) {
    fprintf(stderr, "refuse.c: a guest sees what its fork writes\n");
    _exit(2);
  }
}
