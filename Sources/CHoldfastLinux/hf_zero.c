#include "hf_zero.h"

#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

void hf_zero(void *start, size_t length) {
#ifdef __SSE2__
  // Less than this may well be touched next and is better left in a cache.
  if (length >= (size_t)64 << 10) {
    __m128i *place = start;
    __m128i *end = place + length / sizeof(__m128i);
    const __m128i zero = _mm_setzero_si128();
    while (place < end) {
      _mm_stream_si128(place, zero);
      _mm_stream_si128(place + 1, zero);
      _mm_stream_si128(place + 2, zero);
      _mm_stream_si128(place + 3, zero);
      place += 4;
    }
    // Non-temporal stores are ordered with nothing; whoever is told of the memory must see zeros.
    _mm_sfence();
    return;
  }
#endif
  memset(start, 0, length);
}
