#include "hf_copy.h"

#include <stdint.h>
#include <string.h>

#include "hf_zero.h"

#if defined(__x86_64__)

#include <immintrin.h>

/// A cache line. Non-temporal stores of a whole line reach memory as one.
static const size_t line = 64;

/// Copies lines; `to` is aligned to one.
static void copy_sse2(char *to, const char *from, size_t length) {
  for (char *end = to + length; to < end; to += line, from += line) {
    __m128i first = _mm_loadu_si128((const __m128i *)from);
    __m128i second = _mm_loadu_si128((const __m128i *)from + 1);
    __m128i third = _mm_loadu_si128((const __m128i *)from + 2);
    __m128i fourth = _mm_loadu_si128((const __m128i *)from + 3);
    _mm_stream_si128((__m128i *)to, first);
    _mm_stream_si128((__m128i *)to + 1, second);
    _mm_stream_si128((__m128i *)to + 2, third);
    _mm_stream_si128((__m128i *)to + 3, fourth);
  }
}

/// The same with half of the stores, which takes two thirds of the time.
__attribute__((target("avx2"))) static void copy_avx2(char *to, const char *from, size_t length) {
  for (char *end = to + length; to < end; to += line, from += line) {
    __m256i first = _mm256_loadu_si256((const __m256i *)from);
    __m256i second = _mm256_loadu_si256((const __m256i *)from + 1);
    _mm256_stream_si256((__m256i *)to, first);
    _mm256_stream_si256((__m256i *)to + 1, second);
  }
}

/// Whether to use AVX2. CPUID, which a virtual machine traps, is asked only once.
static int uses_avx2(void) {
  static _Atomic int answer = -1;
  if (answer < 0)
    answer = hf_zero_supported(HF_ZERO_AVX2);
  return answer;
}

void hf_copy_streaming(void *to, const void *from, size_t length) {
  char *next = to;
  const char *source = from;
  size_t head = -(uintptr_t)next & (line - 1);
  if (length < head + line) {
    memcpy(next, source, length);
    return;
  }
  memcpy(next, source, head);
  next += head;
  source += head;
  size_t lines = (length - head) & ~(line - 1);
  if (uses_avx2())
    copy_avx2(next, source, lines);
  else
    copy_sse2(next, source, lines);
  memcpy(next + lines, source + lines, length - head - lines);
  // Non-temporal stores are weakly ordered.
  _mm_sfence();
}

#else

void hf_copy_streaming(void *to, const void *from, size_t length) { memcpy(to, from, length); }

#endif
