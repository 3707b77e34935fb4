/// Copying large amounts of memory.
#ifndef HF_COPY_H
#define HF_COPY_H

#include <stddef.h>

#pragma clang assume_nonnull begin

/// Copies `length` bytes, which do not overlap. On x86-64 the stores bypass the caches, as those of
/// memcpy(3) do only from a size on that is a part of the cache's: no line of the copy is read
/// before it is written, which takes half of the time on the processors that were measured. The
/// stores are ordered before those that follow, so a thread that is handed the memory sees the copy.
void hf_copy_streaming(void *to, const void *from, size_t length);

#pragma clang assume_nonnull end

#endif
