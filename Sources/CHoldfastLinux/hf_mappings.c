#include "hf_mappings.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#ifndef MADV_COLD
#define MADV_COLD 20
#endif

// As in <linux/fs.h> of Linux 6.11, which older headers lack. The structures are extended at their
// ends, and the kernel accepts the shorter forms.
struct mapping_query {
  uint64_t size;
  uint64_t flags;
  uint64_t address;
  uint64_t start;
  uint64_t end;
  uint64_t access;
  uint64_t page_size;
  uint64_t offset;
  uint64_t inode;
  uint32_t device_major;
  uint32_t device_minor;
  uint32_t name_size;
  uint32_t build_id_size;
  uint64_t name;
  uint64_t build_id;
};

struct page_scan {
  uint64_t size;
  uint64_t flags;
  uint64_t start;
  uint64_t end;
  uint64_t walk_end;
  uint64_t vec;
  uint64_t vec_len;
  uint64_t max_pages;
  uint64_t category_inverted;
  uint64_t category_mask;
  uint64_t category_anyof_mask;
  uint64_t return_mask;
};

enum {
  COVERING_OR_NEXT = 0x10,
  IS_PRESENT = 1 << 3,
  IS_HUGE = 1 << 6,
};

#define QUERY_MAPPING _IOWR('f', 17, struct mapping_query)
#define SCAN_PAGES _IOWR('f', 16, struct page_scan)

int hf_query_mapping(int maps, uint64_t address, struct hf_mapping *mapping) {
  struct mapping_query query = {
      .size = sizeof(query), .flags = COVERING_OR_NEXT, .address = address};
  int result;
  do {
    result = ioctl(maps, QUERY_MAPPING, &query);
  } while (result < 0 && errno == EINTR);
  if (result < 0)
    return -errno;
  *mapping =
      (struct hf_mapping){.start = query.start, .end = query.end, .page_size = query.page_size};
  return 0;
}

int64_t hf_scan_present(int pagemap, uint64_t *start, uint64_t end, struct hf_present *runs,
                        size_t count) {
  struct page_scan scan = {
      .size = sizeof(scan),
      .start = *start,
      .end = end,
      .vec = (uint64_t)(uintptr_t)runs,
      .vec_len = count,
      .category_mask = IS_PRESENT,
      .return_mask = IS_PRESENT | IS_HUGE,
  };
  int found;
  do {
    found = ioctl(pagemap, SCAN_PAGES, &scan);
  } while (found < 0 && errno == EINTR);
  if (found < 0)
    return -errno;
  for (int i = 0; i < found; i++)
    runs[i].is_huge &= IS_HUGE;
  *start = scan.walk_end;
  return found;
}

int hf_is_locked(uint64_t address) {
  int result;
  do {
    result = madvise((void *)(uintptr_t)address, 4096, MADV_COLD);
  } while (result < 0 && errno == EAGAIN);
  if (result == 0)
    return 0;
  return errno == EINVAL ? 1 : -errno;
}
