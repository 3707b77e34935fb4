#include "hf_zero.h"

#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)

#include <cpuid.h>
#include <immintrin.h>

/// A cache line, the unit of all kernels. Non-temporal stores of a whole line reach memory as one.
static const size_t line = 64;

static void zero_stosb(char *start, size_t length) {
  __asm__ volatile("rep stosb" : "+D"(start), "+c"(length) : "a"(0) : "memory");
}

static void zero_sse2(char *start, size_t length) {
  const __m128i zero = _mm_setzero_si128();
  for (char *end = start + length; start < end; start += line) {
    _mm_stream_si128((__m128i *)start, zero);
    _mm_stream_si128((__m128i *)start + 1, zero);
    _mm_stream_si128((__m128i *)start + 2, zero);
    _mm_stream_si128((__m128i *)start + 3, zero);
  }
}

__attribute__((target("avx2"))) static void zero_avx2(char *start, size_t length) {
  const __m256i zero = _mm256_setzero_si256();
  for (char *end = start + length; start < end; start += line) {
    _mm256_stream_si256((__m256i *)start, zero);
    _mm256_stream_si256((__m256i *)start + 1, zero);
  }
}

__attribute__((target("avx512f"))) static void zero_avx512(char *start, size_t length) {
  const __m512i zero = _mm512_setzero_si512();
  for (char *end = start + length; start < end; start += line)
    _mm512_stream_si512((__m512i *)start, zero);
}

static void zero_clzero(char *start, size_t length) {
  for (char *end = start + length; start < end; start += line)
    __asm__ volatile("clzero" : : "a"(start) : "memory");
}

/// A register of a CPUID leaf, 0 if the leaf is missing. `number` counts from EAX to EDX.
static unsigned feature_bits(unsigned leaf, int number) {
  unsigned registers[4] = {0};
  if (!__get_cpuid_count(leaf, 0, &registers[0], &registers[1], &registers[2], &registers[3]))
    return 0;
  return registers[number];
}

/// Whether the kernel saves all of these components of the extended state (XCR0) for threads.
static int saves_state(unsigned parts) {
  if (!(feature_bits(1, 2) & 1u << 27))
    return 0;
  unsigned low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (low & parts) == parts;
}

int hf_zero_supported(int kernel) {
  switch (kernel) {
  case HF_ZERO_MEMSET:
  case HF_ZERO_SSE2:
    return 1;
  case HF_ZERO_STOSB:
    // Without ERMS (or FSRM, which goes with it) it stores byte by byte.
    return (feature_bits(7, 1) >> 9 & 1) != 0;
  case HF_ZERO_AVX2:
    return (feature_bits(7, 1) >> 5 & 1) && saves_state(0x06);
  case HF_ZERO_AVX512:
    return (feature_bits(7, 1) >> 16 & 1) && saves_state(0xE6);
  case HF_ZERO_CLZERO:
    return (feature_bits(0x80000008, 1) & 1) != 0;
  default:
    return 0;
  }
}

void hf_zero_by(int kernel, void *start, size_t length) {
  char *next = start;
  if (kernel == HF_ZERO_MEMSET || length < 2 * line) {
    memset(next, 0, length);
    return;
  }
  size_t head = -(uintptr_t)next & (line - 1);
  memset(next, 0, head);
  next += head;
  length -= head;
  size_t tail = length & (line - 1);
  length -= tail;
  memset(next + length, 0, tail);
  switch (kernel) {
  case HF_ZERO_STOSB:
    zero_stosb(next, length);
    break;
  case HF_ZERO_AVX2:
    zero_avx2(next, length);
    break;
  case HF_ZERO_AVX512:
    zero_avx512(next, length);
    break;
  case HF_ZERO_CLZERO:
    zero_clzero(next, length);
    break;
  default:
    zero_sse2(next, length);
    break;
  }
  // Non-temporal stores, and those of clzero, are weakly ordered.
  _mm_sfence();
}

#elif defined(__aarch64__)

/// The bytes that DC ZVA zeroes, or 0 if it is prohibited.
static size_t block_of_zva(void) {
  uint64_t value;
  __asm__("mrs %0, dczid_el0" : "=r"(value));
  return value & 16 ? 0 : (size_t)4 << (value & 15);
}

int hf_zero_supported(int kernel) {
  return kernel == HF_ZERO_MEMSET || (kernel == HF_ZERO_DCZVA && block_of_zva() != 0);
}

void hf_zero_by(int kernel, void *start, size_t length) {
  char *next = start;
  size_t block = kernel == HF_ZERO_DCZVA ? block_of_zva() : 0;
  if (block == 0 || length < 2 * block) {
    memset(next, 0, length);
    return;
  }
  size_t head = -(uintptr_t)next & (block - 1);
  memset(next, 0, head);
  next += head;
  length -= head;
  size_t tail = length & (block - 1);
  length -= tail;
  memset(next + length, 0, tail);
  for (char *end = next + length; next < end; next += block)
    __asm__ volatile("dc zva, %0" : : "r"(next) : "memory");
}

#else

int hf_zero_supported(int kernel) { return kernel == HF_ZERO_MEMSET; }

void hf_zero_by(int kernel, void *start, size_t length) {
  (void)kernel;
  memset(start, 0, length);
}

#endif
