/// NUMA nodes: where memory comes from, where it is, and where threads run. All functions return 0
/// or a negative errno unless said otherwise.
#ifndef HF_NODES_H
#define HF_NODES_H

#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

/// The largest mask of processors that is passed, in 64-bit words.
enum { HF_MASK_WORDS = 1024 };

/// sched_getaffinity(2) of the calling thread. Words after those that the kernel writes are zero.
/// EINVAL if the kernel's own mask is larger.
int hf_get_affinity(uint64_t *mask, size_t words);

/// sched_setaffinity(2) of the calling thread.
int hf_set_affinity(const uint64_t *mask, size_t words);

/// getcpu(2): the node of the processor that runs the caller, or a negative errno.
int hf_current_node(void);

/// The policies MPOL_BIND and MPOL_PREFERRED.
enum {
  HF_BIND = 0,
  HF_PREFER = 1,
};

/// mbind(2) of pages that are absent: MPOL_BIND to the nodes of a mask or, if `how` is HF_PREFER,
/// MPOL_PREFERRED to the first of them. On a shared mapping the policy is the file's.
int hf_bind(void *start, size_t length, int how, const uint64_t *nodes, size_t words);

/// set_mempolicy(2) of the calling thread, which threads that it creates inherit. MPOL_DEFAULT if
/// `words` is 0.
int hf_set_policy(int how, const uint64_t *_Nullable nodes, size_t words);

/// move_pages(2) without nodes, which moves nothing: stores the node of each page, or a negative
/// errno if it is absent.
int hf_nodes_of(void *_Nonnull const *_Nonnull pages, size_t count, int *nodes);

#pragma clang assume_nonnull end

#endif
