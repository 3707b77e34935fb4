/// Zeroing memory, in every way that the processor has. Which is fastest differs between makers and
/// generations, so it is measured: HoldfastLinux, `ZeroingKernel`.
#ifndef HF_ZERO_H
#define HF_ZERO_H

#include <stddef.h>

#pragma clang assume_nonnull begin

/// The ways. The last four kinds go past the caches, which spares the memory the read of each line
/// and leaves the caches to others; `rep stosb` may do so, as its microcode sees fit.
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

/// Whether this processor and its operating system can do it. memset(3) always can.
int hf_zero_supported(int kernel);

/// Makes `length` bytes from `start` on zero, in a way that is supported; neither needs to be
/// aligned. Whoever is told of the memory afterwards sees the zeros.
void hf_zero_by(int kernel, void *start, size_t length);

#pragma clang assume_nonnull end

#endif
