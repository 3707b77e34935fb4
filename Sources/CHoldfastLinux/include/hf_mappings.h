/// What the kernel reports about mappings and page tables of this process. All functions return 0
/// or a negative errno unless said otherwise.
#ifndef HF_MAPPINGS_H
#define HF_MAPPINGS_H

#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

/// A mapping, from PROCMAP_QUERY.
struct hf_mapping {
  uint64_t start;
  uint64_t end;
  /// The page size of its file system in bytes, which for hugetlb is that of its huge pages.
  uint64_t page_size;
};

/// Pages in the page tables, next to one another, from PAGEMAP_SCAN.
struct hf_present {
  uint64_t start;
  uint64_t end;
  /// Not zero where each entry maps a huge page.
  uint64_t is_huge;
};

/// PROCMAP_QUERY on `/proc/self/maps`: the mapping of an address, or the next one after it. Fails
/// with ENOENT behind the last mapping, and with ENOTTY before Linux 6.11.
int hf_query_mapping(int maps, uint64_t address, struct hf_mapping *mapping);

/// PAGEMAP_SCAN on `/proc/self/pagemap`: stores up to `count` runs of pages that the page tables
/// have from `*start` on, before `end`, and sets `*start` to where the next call has to go on, `end`
/// if all is done. Returns the number of runs or a negative errno: ENOTTY before Linux 6.7.
int64_t hf_scan_present(int pagemap, uint64_t *start, uint64_t end, struct hf_present *runs,
                        size_t count);

/// Whether the mapping of a page is locked (mlock(2)) or hugetlb. The kernel tells by refusing
/// MADV_COLD, which for other pages says that they may be reclaimed early. Returns 0, 1 or a
/// negative errno.
int hf_is_locked(uint64_t address);

#pragma clang assume_nonnull end

#endif
