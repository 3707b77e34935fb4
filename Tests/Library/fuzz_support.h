// The random values, the shared handles and the checks of fuzz.c.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <holdfast.h>
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIB ((uint64_t)1 << 20)
enum { thread_count = 4, slot_count = 12, tag_count = 8, structure_room = 1 << 16, margin = 64 };
enum kind { TOKEN, ARENA, GUEST, SEGMENT, RECEIPT, HOLD, LEASE, kind_count };

static uint64_t first_seed;
static const char *folder;
static const char *mount;
static atomic_bool is_over;
static atomic_ulong calls, successes, bytes_checked, bytes_seen, faults_tried, image_count, names;

static void fail(const char *what) {
  fprintf(stderr, "fuzz.c: %s (seed %" PRIu64 ")\n  last error: %s\n", what, first_seed,
          holdfast_error_message());
  abort();
}

// --- Random values

static _Thread_local uint64_t state;

static uint64_t any64(void) {  // splitmix64
  uint64_t z = state += 0x9E3779B97F4A7C15;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
  z = (z ^ z >> 27) * 0x94D049BB133111EB;
  return z ^ z >> 31;
}
static uint64_t below(uint64_t limit) { return any64() % limit; }
static int one_in(uint64_t count) { return below(count) == 0; }

static uint64_t any_size(void) {
  switch (below(12)) {
  case 0: return below(3);
  case 1: return any64();
  case 2: return (uint64_t)1 << below(64);
  case 3: return ((uint64_t)1 << below(64)) - 1;
  case 4: return UINT64_MAX - below(8192);
  case 5: return (any64() >> below(64)) & ~(uint64_t)4095;
  case 6: return below(64) * 4096 + below(4096);
  default: return below(2048) * 4096;
  }
}

// A length in a guest, mostly small and whole pages.
static uint64_t any_length(void) {
  return one_in(8) ? any_size() : (1 + below(one_in(4) ? 2048 : 32)) * 4096;
}

static uint32_t any_enum(uint32_t count) {
  return one_in(16) ? (uint32_t)any64() >> below(32) : (uint32_t)below(count);
}

static char long_text[100001];
static const char *any_text(const char *good) {
  switch (below(16)) {
  case 0: return NULL;
  case 1: return "";
  case 2: return "\xff\xfe";
  case 3: return long_text;
  case 4: return "a/b\n\"\\\x01";
  default: return good;
  }
}

// --- Handles, shared by all threads

// A guest with its bytes. `window` is held to read through its window, and to close it.
struct owner {
  uint64_t tags[tag_count];
  int used;
  int references;
  int is_read;
  pthread_mutex_t window;
  int is_closed;
};

static struct slot {
  uint64_t id;
  struct owner *owner;
} slots[kind_count][slot_count];
static pthread_mutex_t table = PTHREAD_MUTEX_INITIALIZER;
static uint64_t closed[64];

static struct owner *make_owner(const struct owner *parent) {
  struct owner *owner = calloc(1, sizeof(*owner));
  if (!owner)
    fail("no memory");
  if (parent) {
    memcpy(owner->tags, parent->tags, sizeof(owner->tags));
    owner->used = parent->used;
    owner->is_read = parent->is_read;
  }
  owner->references = 1;
  pthread_mutex_init(&owner->window, NULL);
  uint64_t tag = any64() | 0x0101010101010101;  // No byte of it is zero.
  if (owner->used == tag_count)
    fail("a guest of too many generations");
  memmove(owner->tags + 1, owner->tags, sizeof(tag) * (size_t)owner->used++);
  owner->tags[0] = tag;
  return owner;
}

static struct owner *share_owner(struct owner *owner) {
  pthread_mutex_lock(&table);
  if (owner)
    owner->references++;
  pthread_mutex_unlock(&table);
  return owner;
}

static void drop_owner(struct owner *owner) {
  if (!owner)
    return;
  pthread_mutex_lock(&table);
  int is_last = --owner->references == 0;
  pthread_mutex_unlock(&table);
  if (is_last) {
    pthread_mutex_destroy(&owner->window);
    free(owner);
  }
}

// A handle of a kind, or garbage; with a guest's owner, which the caller drops.
static uint64_t any_handle(enum kind kind, struct owner **owner) {
  if (owner)
    *owner = NULL;
  if (one_in(24))
    switch (below(4)) {
    case 0: return 0;
    case 1: return any64();
    case 2: return below(4096);
    default: return closed[below(64)];
    }
  if (one_in(48))
    kind = (enum kind)below(kind_count);
  pthread_mutex_lock(&table);
  uint64_t id = 0;
  for (int attempt = 0; attempt < slot_count && !id; attempt++) {
    struct slot *slot = &slots[kind][below(slot_count)];
    id = slot->id;
    if (id && owner && slot->owner) {
      slot->owner->references++;
      *owner = slot->owner;
    }
  }
  if (owner && !*owner && kind != GUEST && one_in(2))
    id ^= (uint64_t)1 << below(64);
  pthread_mutex_unlock(&table);
  return id;
}

static void close_handle(enum kind kind, uint64_t id);

// Keeps a handle, and closes the one that had its place.
static void keep(enum kind kind, uint64_t id, struct owner *owner) {
  uint64_t limit = kind == ARENA ? 3 : slot_count;
  pthread_mutex_lock(&table);
  struct slot *slot = &slots[kind][below(limit)];
  struct slot old = *slot;
  *slot = (struct slot){id, owner};
  pthread_mutex_unlock(&table);
  if (!old.id)
    return;
  const int has_window = kind == GUEST;
  if (has_window) {
    pthread_mutex_lock(&old.owner->window);
    old.owner->is_closed = 1;
  }
  close_handle(kind, old.id);
  if (has_window)
    pthread_mutex_unlock(&old.owner->window);
  drop_owner(old.owner);
  closed[below(64)] = old.id;
}

// --- What each call has to satisfy

static int counted(holdfast_status status) {
  calls++;
  if (status == HOLDFAST_OK) {
    successes++;
    return 1;
  }
  const char *name = holdfast_status_name(status);
  if (strcmp(name, "unknown") == 0)
    fail("an unknown status");
  if (!*holdfast_error_message() || strchr(holdfast_error_message(), '\n'))
    fail("the message of an error is not one line");
  const char *json = holdfast_error_json();
  if (json[0] != '{' || !strstr(json, name))
    fail("the JSON of an error is not that of its status");
  return 0;
}

static const uint64_t poison = 0xA5A5A5A5A5A5A5A5;

// True if a call made a handle. Beside an error nothing is stored.
static int made(holdfast_status status, const uint64_t *stored) {
  const uint64_t id = *stored;
  int succeeded = counted(status);
  if (!succeeded && id != poison)
    fail("a handle is stored beside an error");
  if (succeeded && (id == 0 || id == poison))
    fail("no handle is stored");
  return succeeded;
}

static void close_handle(enum kind kind, uint64_t id) {
  switch (kind) {
  case TOKEN: counted(holdfast_token_close((holdfast_token){id})); break;
  case ARENA: counted(holdfast_arena_close((holdfast_arena){id})); break;
  case GUEST: counted(holdfast_guest_close((holdfast_guest){id})); break;
  case SEGMENT: counted(holdfast_segment_close((holdfast_segment){id})); break;
  case RECEIPT: counted(holdfast_receipt_close((holdfast_receipt){id})); break;
  case HOLD: counted(holdfast_hold_release((holdfast_hold){id})); break;
  default: counted(holdfast_lease_close((holdfast_lease){id})); break;
  }
}

// A structure to be filled in, of an odd size at times, or null.
static _Thread_local uint8_t *room;
static _Thread_local uint64_t room_size;

static void *begin_structure(size_t size) {
  memset(room, 0xA5, structure_room + margin);
  switch (below(12)) {
  case 0: room_size = below(16); break;
  case 1: room_size = below(size + 64); break;
  case 2: room_size = below(structure_room + 2); break;
  case 3: room_size = any64(); break;
  default: room_size = size;
  }
  memcpy(room, &room_size, sizeof(room_size));
  return one_in(24) ? NULL : room;
}

static void end_structure(holdfast_status status) {
  uint64_t end = counted(status) ? room_size : 8;
  if (end < 8 || end > structure_room)
    end = 8;
  for (uint64_t offset = end; offset < structure_room + margin; offset++)
    if (room[offset] != 0xA5)
      fail("bytes are stored beyond a structure, or beside an error");
  if (memcmp(room, &room_size, sizeof(room_size)) != 0)
    fail("the size of a structure changed");
}

// Options with a size of their own; the members that the caller does not know are absent.
static void *begin_options(const void *options, size_t size) {
  memset(room, 0, structure_room + margin);
  memcpy(room, options, size);
  room_size = size;
  switch (below(16)) {
  case 0: room_size = below(size + 64); break;
  case 1: room_size = below(structure_room + 2); break;
  case 2: room_size = any64(); break;
  case 3:
    for (int count = 0; count < 4; count++)
      room[8 + below(size - 8)] = (uint8_t)any64();
    room_size = size;
  }
  memcpy(room, &room_size, sizeof(room_size));
  return one_in(48) ? NULL : room;
}

static void end_text(holdfast_status status, char *const *stored) {
  char *text = *stored;
  if (counted(status)) {
    if (text == (char *)poison || !text)
      fail("no text is stored");
    holdfast_text_free(text);
  } else if (text != (char *)poison) {
    fail("a text is stored beside an error");
  }
}
