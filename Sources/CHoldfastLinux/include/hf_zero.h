/// Zeroing memory in every way that the processor offers. The fastest way differs between vendors
/// and generations, so HoldfastLinux measures them (`ZeroingChoice`).
#ifndef HF_ZERO_H
#define HF_ZERO_H

#include <stddef.h>

#pragma clang assume_nonnull begin

/// The ways. Those after HF_ZERO_STOSB bypass the caches, so that no line is read before it is
/// written and other data stays cached; whether `rep stosb` does is up to its microcode.
enum hf_zero_kernel {
  HF_ZERO_MEMSET,
  HF_ZERO_STOSB,
  HF_ZERO_SSE2,
  HF_ZERO_AVX2,
  HF_ZERO_AVX512,
  HF_ZERO_CLZERO,
  HF_ZERO_DCZVA,
  HF_ZERO_KERNELS,
};

/// Returns whether this processor and the kernel support it. HF_ZERO_MEMSET always is.
int hf_zero_supported(int kernel);

/// Zeroes `length` bytes from `start`, in a supported way; neither needs to be aligned. The stores
/// are ordered before those that follow, so a thread that is handed the memory sees the zeros.
void hf_zero_by(int kernel, void *start, size_t length);

#pragma clang assume_nonnull end

#endif
