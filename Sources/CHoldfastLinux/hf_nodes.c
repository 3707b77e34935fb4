#include "hf_nodes.h"

#include <errno.h>
#include <linux/mempolicy.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

// glibc has no wrappers for the system calls of memory policies; those in libnuma would be a
// dependency.

int hf_get_affinity(uint64_t *mask, size_t words) {
  memset(mask, 0, words * sizeof *mask);
  return syscall(SYS_sched_getaffinity, 0, words * sizeof *mask, mask) < 0 ? -errno : 0;
}

int hf_set_affinity(const uint64_t *mask, size_t words) {
  return syscall(SYS_sched_setaffinity, 0, words * sizeof *mask, mask) < 0 ? -errno : 0;
}

int hf_current_node(void) {
  unsigned processor = 0;
  unsigned node = 0;
  return getcpu(&processor, &node) < 0 ? -errno : (int)node;
}

static int mode(int how) { return how == HF_PREFER ? MPOL_PREFERRED : MPOL_BIND; }

int hf_bind(void *start, size_t length, int how, const uint64_t *nodes, size_t words) {
  // The kernel reads one bit less than the count that it is given.
  return syscall(SYS_mbind, start, length, mode(how), nodes, words * 64 + 1, 0UL) < 0 ? -errno : 0;
}

int hf_set_policy(int how, const uint64_t *nodes, size_t words) {
  long result = words == 0 ? syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0UL)
                           : syscall(SYS_set_mempolicy, mode(how), nodes, words * 64 + 1);
  return result < 0 ? -errno : 0;
}

int hf_nodes_of(void *const *pages, size_t count, int *nodes) {
  return syscall(SYS_move_pages, 0, count, pages, NULL, nodes, 0) < 0 ? -errno : 0;
}
