// The accesses to guest memory of fuzz.c, each of whose bytes is checked.
#include "fuzz_support.h"

static uint8_t tag_byte(uint64_t tag, uint64_t address) {
  return (uint8_t)(tag >> (address % 8 * 8));
}

static void check_bytes(struct owner *owner, uint64_t address, const uint8_t *bytes,
                        size_t length) {
  uint64_t tags[tag_count];
  // Only after the bytes were read: a tag is added before the bytes can come.
  pthread_mutex_lock(&table);
  int used = owner->used;
  memcpy(tags, owner->tags, sizeof(tags));
  pthread_mutex_unlock(&table);
  unsigned long seen = 0;
  for (size_t index = 0; index < length; index++) {
    if (!bytes[index])
      continue;
    seen++;
    int found = 0;
    for (int tag = 0; tag < used && !found; tag++)
      found = bytes[index] == tag_byte(tags[tag], address + index);
    if (!found) {
      fprintf(stderr, "guest address %#" PRIx64 " has %#x of:", address + index, bytes[index]);
      for (size_t next = index; next < length && next < index + 16; next++)
        fprintf(stderr, " %02x", bytes[next]);
      for (int tag = 0; tag < used; tag++)
        fprintf(stderr, "\n  may be of %#018" PRIx64, tags[tag]);
      fputc('\n', stderr);
      fail("a guest has a byte of another one");
    }
  }
  bytes_checked += length;
  bytes_seen += seen;
}

enum { largest_copy = 1 << 16 };
static _Thread_local uint8_t *bytes;

static void do_read(void) {
  struct owner *owner;
  holdfast_guest guest = {any_handle(GUEST, &owner)};
  uint64_t address = one_in(8) ? any_size() : below(8 * MIB);
  uint64_t length = one_in(4) ? below(largest_copy) : below(256);
  memset(bytes, 0, largest_copy);
  holdfast_status status = one_in(32) ? holdfast_guest_read(guest, address, NULL, any_size())
                                      : holdfast_guest_read(guest, address, bytes, length);
  if (counted(status) && owner)
    check_bytes(owner, address, bytes, length);
  drop_owner(owner);
}

static void do_write(void) {
  struct owner *owner;
  holdfast_guest guest = {any_handle(GUEST, &owner)};
  uint64_t address = one_in(8) ? any_size() : below(8 * MIB);
  uint64_t length = one_in(4) ? below(largest_copy) : below(256);
  // A handle of a guest comes with its owner, unless another thread has just closed it.
  if (owner) {
    for (uint64_t index = 0; index < length; index++)
      bytes[index] = tag_byte(owner->tags[0], address + index);
    counted(holdfast_guest_write(guest, address, bytes, length));
  } else {
    counted(holdfast_guest_write(guest, address, NULL, length));
  }
  drop_owner(owner);
}

// The place to go on at when an access through a window fails.
static _Thread_local sigjmp_buf failed_access;
static _Thread_local volatile sig_atomic_t is_accessing;

static void note_fault(int signal) {
  if (signal == SIGSEGV && is_accessing)
    siglongjmp(failed_access, 1);
  static const char text[] = "fuzz.c: SIGSEGV in the library, or SIGBUS\n";
  if (write(2, text, sizeof(text) - 1) > 0)
    abort();
  _exit(2);
}

// Copies to or from a window byte by byte, as a processor accesses it, up to the first byte that
// cannot be accessed.
static size_t access_window(volatile uint8_t *window, size_t length, int writes) {
  volatile size_t done = 0;
  if (sigsetjmp(failed_access, 1) == 0) {
    is_accessing = 1;
    for (; done < length; done++)
      if (writes)
        window[done] = bytes[done];
      else
        bytes[done] = window[done];
  }
  is_accessing = 0;
  return done;
}

static void do_window(void) {
  struct owner *owner;
  holdfast_guest guest = {any_handle(GUEST, &owner)};
  uint64_t address = one_in(8) ? any_size() : below(8 * MIB), length = 1 + below(8192);
  void *pointer = (void *)poison;
  if (owner)
    pthread_mutex_lock(&owner->window);
  holdfast_status status = holdfast_guest_host_address(guest, address, length, &pointer);
  if (!counted(status) && pointer != (void *)poison)
    fail("an address is stored beside an error");
  if (status == HOLDFAST_OK && owner && owner->is_read && !owner->is_closed) {
    const int writes = one_in(2);
    faults_tried++;
    for (uint64_t index = 0; writes && index < length; index++)
      bytes[index] = tag_byte(owner->tags[0], address + index);
    size_t count = access_window(pointer, length, writes);
    if (!writes)
      check_bytes(owner, address, bytes, count);
  }
  if (owner)
    pthread_mutex_unlock(&owner->window);
  drop_owner(owner);
}
