/// NUMA nodes: where memory is taken from, where it lies, and where threads run.
#ifndef HF_NODES_H
#define HF_NODES_H

#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

/// How many 64-bit words of a mask of processors or nodes are passed at most.
enum { HF_MASK_WORDS = 1024 };

/// sched_getaffinity(2) of the calling thread into `words` words, zeroed behind what the kernel
/// writes. Returns 0 or a negative errno: EINVAL where the kernel's own mask is larger.
int hf_get_affinity(uint64_t *mask, size_t words);

/// sched_setaffinity(2) of the calling thread. Returns 0 or a negative errno.
int hf_set_affinity(const uint64_t *mask, size_t words);

/// The node of the processor that runs the caller, or a negative errno. A call of the vDSO where
/// the kernel has one.
int hf_current_node(void);

enum {
  HF_BIND = 0,
  HF_PREFER = 1,
};

/// mbind(2) of pages that are not there yet: MPOL_BIND to the nodes of a mask of 64-bit words or,
/// where `how` is HF_PREFER, MPOL_PREFERRED to the first of them. On a shared mapping the policy is
/// the file's. Returns 0 or a negative errno.
int hf_bind(void *start, size_t length, int how, const uint64_t *nodes, size_t words);

/// set_mempolicy(2) of the calling thread, inherited by threads that it makes; MPOL_DEFAULT where
/// `words` is 0. Returns 0 or a negative errno.
int hf_set_policy(int how, const uint64_t *_Nullable nodes, size_t words);

/// move_pages(2) without nodes, which moves nothing: stores the node of each page, or a negative
/// errno where it is not there. Returns 0 or a negative errno.
int hf_nodes_of(void *_Nonnull const *_Nonnull pages, size_t count, int *nodes);

#pragma clang assume_nonnull end

#endif
