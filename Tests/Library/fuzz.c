// Random calls of libholdfast from several threads, with arguments that are right, odd or garbage:
//
//   fuzz [SECONDS [SEED [FOLDER]]]
//
// A call may fail, but no call may crash, hang, store a result beside an error, write beyond a
// structure's size, lose a descriptor or show a byte of another guest. Each guest writes bytes of
// its own, so each byte that is read has to be zero, the guest's or one of those whose fork or
// image it is. HOLDFAST_MOUNT may name a mount with a reservoir on tmpfs. The threads share the
// handles, so that one closes what another uses. The seed makes each thread's choices, not their
// order among the threads.
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

// --- Bytes

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

// --- Objects

static void progress(void *context, uint64_t done, uint64_t total) {
  (void)done, (void)total;
  if (context != (void *)&calls)
    fail("a callback has another context");
  // The library holds no lock of its own here.
  if (one_in(64))
    counted(holdfast_arena_close((holdfast_arena){1}));
}

static void do_token(void) {
  holdfast_token token = {poison};
  if (one_in(3))
    counted(holdfast_token_cancel((holdfast_token){any_handle(TOKEN, NULL)}));
  else if (one_in(16))
    counted(holdfast_token_create(NULL));
  else if (made(holdfast_token_create(&token), &token.id))
    keep(TOKEN, token.id, NULL);
}

static void do_arena(void) {
  struct holdfast_arena_options options = {.struct_size = sizeof(options)};
  options.size = one_in(4) ? any_size() : (1 + below(32)) * MIB;
  // Never more of the host than 32 MiB for an arena; absurd sizes it has to refuse.
  if (options.size > 32 * MIB && options.size < (uint64_t)1 << 46)
    options.size %= 32 * MIB;
  options.purpose = any_enum(3);
  options.backing = one_in(8) ? 6 + any_enum(64) : HOLDFAST_BACKING_BASE;
  options.threads = any_enum(5);
  options.node = one_in(16) ? any_size() : below(2);
  options.progress = one_in(2) ? progress : NULL;
  options.progress_context = &calls;
  holdfast_arena arena = {poison};
  // Garbage in all members but those that could take much memory.
  const void *given = options.progress || one_in(2) ? &options : begin_options(&options, 40);
  if (given == room) {
    memcpy(room + 8, &options.size, 8);
    memcpy(room + 20, &options.backing, 4);
  }
  if (made(holdfast_arena_create(given, one_in(32) ? NULL : &arena), &arena.id))
    keep(ARENA, arena.id, NULL);
}

static void do_adopt(void) {
  holdfast_arena arena = {poison};
  int descriptor = -1, is_opened = 1;
  switch (below(8)) {
  case 0: descriptor = (int)any64(); is_opened = 0; break;
  case 1: descriptor = open(folder, O_RDONLY | O_CLOEXEC); break;
  case 2: descriptor = open("/dev/zero", O_RDWR | O_CLOEXEC); break;
  case 3: descriptor = open("/dev/shm", O_RDONLY | O_CLOEXEC); break;
  case 4: descriptor = open("/proc/self/maps", O_RDONLY | O_CLOEXEC); break;
  default:
    descriptor = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (descriptor >= 0 && ftruncate(descriptor, (off_t)(one_in(4) ? below(9 * MIB)
                                                              : below(8) * MIB)))
      fail("ftruncate");
    if (one_in(8))
      fcntl(descriptor, F_ADD_SEALS, F_SEAL_WRITE);
  }
  // A random number may be a descriptor of this process, which is a file but never an empty one.
  if (!is_opened && descriptor >= 0 && fcntl(descriptor, F_GETFD) >= 0)
    return;
  uint64_t node = one_in(8) ? any_size() : 0;
  if (made(holdfast_arena_adopt(descriptor, node, one_in(32) ? NULL : &arena), &arena.id))
    keep(ARENA, arena.id, NULL);
  if (is_opened && descriptor >= 0)
    close(descriptor);
}

// Maps memory at the start of most guests, so that the calls that follow find some.
static void give_memory(holdfast_guest guest, struct owner *owner, uint64_t limit) {
  holdfast_segment segment = {poison};
  const uint64_t size = limit < 8 * MIB ? limit / MIB * MIB : 8 * MIB;
  if (one_in(8) || !made(holdfast_segment_create(guest, "ram", size, &segment), &segment.id))
    return;
  counted(holdfast_map(guest, segment, 0, 0, one_in(2) ? size : size / 2, 7, any_enum(2), NULL));
  keep(SEGMENT, segment.id, share_owner(owner));
}

static void do_guest(void) {
  struct holdfast_guest_options options = {.struct_size = sizeof(options)};
  options.limit = one_in(6) ? any_size() : (1 + below(8)) * MIB;
  options.wired_limit = one_in(4) ? any_size() : 0;
  options.purpose = any_enum(3);
  options.demand_paging = one_in(3) ? 0 : (uint32_t)any64();
  options.granularity = any_enum(2);
  options.failed_fault = any_enum(2);
  struct owner *owner = make_owner(NULL);
  holdfast_guest guest = {poison};
  holdfast_arena arena = {any_handle(ARENA, NULL)};
  const struct holdfast_guest_options *given = begin_options(&options, sizeof(options));
  // A fault that cannot be served would wait for ever.
  owner->is_read = given && options.failed_fault == HOLDFAST_FAILED_FAULT_REFUSE &&
                   memcmp(&room[8], &options.limit, sizeof(options) - 8) == 0 &&
                   room_size >= sizeof(options);
  if (made(holdfast_guest_create(arena, given, one_in(32) ? NULL : &guest), &guest.id)) {
    give_memory(guest, owner, options.limit);
    keep(GUEST, guest.id, owner);
  } else
    drop_owner(owner);
}

static void do_fork(void) {
  struct owner *parent;
  holdfast_guest guest = {any_handle(GUEST, &parent)}, child = {poison};
  if (!parent || parent->used >= tag_count) {
    counted(holdfast_guest_fork(guest, NULL, NULL));
    drop_owner(parent);
    return;
  }
  struct holdfast_fork_info *info = begin_structure(sizeof(*info));
  holdfast_status status = holdfast_guest_fork(guest, &child, info);
  if (info)
    end_structure(status);
  // Its tags are those of the parent after the fork, which may have more than before.
  if (made(status, &child.id)) {
    pthread_mutex_lock(&table);
    struct owner copy = *parent;
    pthread_mutex_unlock(&table);
    if (copy.used == tag_count)
      close_handle(GUEST, child.id);
    else
      keep(GUEST, child.id, make_owner(&copy));
  }
  drop_owner(parent);
}

static void do_segment(void) {
  struct owner *owner;
  holdfast_guest guest = {any_handle(GUEST, &owner)};
  holdfast_segment segment = {poison};
  char name[32];
  snprintf(name, sizeof(name), "s%" PRIu64, below(64));
  uint64_t size = one_in(4) ? any_size() : (1 + below(2048)) * 4096;
  if (made(holdfast_segment_create(guest, any_text(name), size, one_in(32) ? NULL : &segment),
           &segment.id))
    keep(SEGMENT, segment.id, share_owner(owner));
  drop_owner(owner);
}

// Images: those that guests have saved, each with the tags that may be in it.
static struct image {
  char path[4096];
  uint64_t tags[tag_count];
  int used;
} images[4];

static void do_save(void) {
  struct owner *owner;
  holdfast_guest guest = {any_handle(GUEST, &owner)};
  char path[4096];
  snprintf(path, sizeof(path), "%s/image-%lu", folder, (unsigned long)image_count++);
  const char *bad[] = {"", "/nonexistent/image", folder, NULL, long_text, "\xff"};
  struct holdfast_snapshot_info *info = begin_structure(sizeof(*info));
  int is_good = owner && !one_in(6);
  holdfast_status status = holdfast_guest_save(
      guest, one_in(4) ? any_size() : below(256) * 4096, any_length(),
      is_good ? path : bad[below(6)], one_in(2) ? progress : NULL, &calls, info);
  if (info)
    end_structure(status);
  else
    counted(status);
  if (status == HOLDFAST_OK && is_good) {
    pthread_mutex_lock(&table);
    struct image *image = &images[below(4)];
    if (image->path[0])
      unlink(image->path);
    memcpy(image->path, path, sizeof(path));
    memcpy(image->tags, owner->tags, sizeof(image->tags));
    image->used = owner->used;
    pthread_mutex_unlock(&table);
  }
  drop_owner(owner);
}

static void do_restore(void) {
  struct owner *owner;
  holdfast_guest guest = {any_handle(GUEST, &owner)};
  holdfast_segment segment = {poison};
  const char *bad[] = {"",          "/nonexistent", folder, "/dev/null", "/proc/self/maps",
                       "/dev/zero", long_text,      NULL,   "\xff",      "/proc/self/mem"};
  char path[4096] = "", pipe[4096];
  snprintf(pipe, sizeof(pipe), "%s/pipe", folder);
  pthread_mutex_lock(&table);
  struct image *image = &images[below(4)];
  if (owner && owner->used + image->used <= tag_count && image->path[0]) {
    memcpy(path, image->path, sizeof(path));
    memcpy(owner->tags + owner->used, image->tags, sizeof(uint64_t) * (size_t)image->used);
    owner->used += image->used;
  }
  pthread_mutex_unlock(&table);
  const char *chosen = one_in(32) ? pipe : path[0] && !one_in(4) ? path : bad[below(10)];
  if (made(holdfast_segment_restore(guest, any_text("image"), chosen, any_enum(4), &segment),
           &segment.id))
    keep(SEGMENT, segment.id, share_owner(owner));
  drop_owner(owner);
}

// A thread waits for ever for a wired page that it may not access, so no thread tries such a guest.
static void restrict_window(struct owner *owner, uint32_t protection) {
  const uint32_t accessible = HOLDFAST_READ | HOLDFAST_WRITE;
  if (!owner || (protection & accessible) == accessible)
    return;
  pthread_mutex_lock(&owner->window);
  owner->is_read = 0;
  pthread_mutex_unlock(&owner->window);
}

static void do_map(void) {
  struct owner *owner, *other;
  holdfast_guest guest = {any_handle(GUEST, &owner)};
  holdfast_segment segment = {any_handle(SEGMENT, &other)};
  for (int attempt = 0; attempt < 4 && other != owner; attempt++) {
    drop_owner(other);
    segment.id = any_handle(SEGMENT, &other);
  }
  uint64_t length = any_length();
  // A segment of another guest would be memory of both, which no byte could tell from a leak.
  if (owner && other != owner)
    length |= 1;
  holdfast_receipt receipt = {poison};
  int wants_receipt = one_in(2);
  uint64_t address = one_in(8) ? any_size() : below(2048) * 4096;
  uint64_t offset = one_in(4) ? any_size() : 0;
  uint32_t protection = one_in(32) ? any_enum(9) : 7;
  restrict_window(owner, protection);
  holdfast_status status = holdfast_map(guest, segment, address, offset, length, protection,
                                        any_enum(2), wants_receipt ? &receipt : NULL);
  if (!wants_receipt)
    counted(status);
  else if (made(status, &receipt.id))
    keep(RECEIPT, receipt.id, NULL);
  drop_owner(owner);
  drop_owner(other);
}

static void do_range(void) {
  struct owner *owner;
  holdfast_guest guest = {any_handle(GUEST, &owner)};
  uint64_t address = one_in(8) ? any_size() : below(2048) * 4096, length = any_length();
  holdfast_receipt receipt = {poison};
  holdfast_hold hold = {poison};
  struct holdfast_residency *residency;
  uint32_t protection = one_in(8) ? any_enum(9) : 3 | any_enum(2) << 2;
  switch (below(7)) {
  case 0:
    restrict_window(owner, protection);
    counted(holdfast_protect(guest, address, length, protection));
    break;
  case 1:
    if (made(holdfast_wire(guest, address, length, &receipt), &receipt.id))
      keep(RECEIPT, receipt.id, NULL);
    break;
  case 2: counted(holdfast_unwire(guest, address, length)); break;
  case 3: counted(holdfast_unmap(guest, address, length)); break;
  case 4:
    residency = begin_structure(sizeof(*residency));
    end_structure(holdfast_residency(guest, address, length, residency));
    break;
  case 5: counted(holdfast_guest_retry_faults(guest)); break;
  default:
    if (made(holdfast_hold_pages(guest, address, length, any_enum(8), &hold), &hold.id))
      keep(HOLD, hold.id, NULL);
  }
  drop_owner(owner);
}

static void do_information(void) {
  char *text = (char *)poison;
  holdfast_receipt receipt = {any_handle(RECEIPT, NULL)};
  holdfast_lease lease = {any_handle(LEASE, NULL)};
  void *structure;
  switch (below(10)) {
  case 0:
    structure = begin_structure(sizeof(struct holdfast_arena_info));
    end_structure(holdfast_arena_info((holdfast_arena){any_handle(ARENA, NULL)}, structure));
    break;
  case 1:
    structure = begin_structure(sizeof(struct holdfast_guest_info));
    end_structure(holdfast_guest_info((holdfast_guest){any_handle(GUEST, NULL)}, structure));
    break;
  case 2:
    structure = begin_structure(sizeof(struct holdfast_receipt_info));
    end_structure(holdfast_receipt_info(receipt, structure));
    break;
  case 3:
    structure = begin_structure(sizeof(struct holdfast_verification));
    end_structure(holdfast_receipt_verify(receipt, structure));
    break;
  case 4: end_text(holdfast_receipt_json(receipt, &text), &text); break;
  case 5: end_text(holdfast_receipt_verify_json(receipt, &text), &text); break;
  case 6:
    structure = begin_structure(sizeof(struct holdfast_lease_info));
    end_structure(holdfast_lease_info(lease, structure));
    break;
  case 7: end_text(holdfast_lease_path(lease, one_in(16) ? NULL : &text), &text); break;
  case 8: counted(holdfast_arena_scrub((holdfast_arena){any_handle(ARENA, NULL)})); break;
  default:
    if (one_in(16)) {
      structure = begin_structure(sizeof(struct holdfast_host));
      end_structure(holdfast_host_probe(structure));
    } else if (one_in(16)) {
      end_text(holdfast_host_json(&text), &text);
    }
  }
}

static void do_lease(void) {
  holdfast_lease lease = {poison};
  struct holdfast_lease_options options = {.struct_size = sizeof(options)};
  char name[32];
  snprintf(name, sizeof(name), "fuzz-%lu", (unsigned long)names++ % 32);
  const char *mounts[] = {"", "/", "/proc", "/nonexistent", "\xff", long_text, folder};
  options.size = one_in(4) ? any_size() : 4 * MIB;
  options.mount = mount && !one_in(8) ? mount : mounts[below(7)];
  options.socket = one_in(16) ? "/nonexistent/socket" : NULL;
  options.name = any_text(name);
  // A lease with a name that the library makes has to end by itself.
  if (!options.name)
    options.is_held = 1;
  options.node = one_in(16) ? any_size() : 0;
  options.timeout_nanoseconds = below(2000000);
  options.is_exact = any_enum(2);
  // Never a file of more than the reservoir's.
  options.grows = options.size <= 4 * MIB && one_in(4);
  options.is_held |= any_enum(2);
  options.token.id = one_in(4) ? any_handle(TOKEN, NULL) : 0;
  if (made(holdfast_lease_create(&options, one_in(32) ? NULL : &lease), &lease.id))
    keep(LEASE, lease.id, NULL);
  char *text = (char *)poison;
  int descriptor = -7;
  holdfast_arena arena = {poison};
  holdfast_lease other = {any_handle(LEASE, NULL)};
  switch (below(4)) {
  case 0:
    if (counted(holdfast_lease_descriptor(other, &descriptor)))
      close(descriptor);
    else if (descriptor != -7)
      fail("a descriptor is stored beside an error");
    break;
  case 1:
    if (made(holdfast_lease_adopt(other, &arena), &arena.id))
      keep(ARENA, arena.id, NULL);
    break;
  case 2: end_text(holdfast_lease_name(other, &text), &text); break;
  default: {
    // Only the names of leases whose memory no arena of these threads can have: the file of a lease
    // is given to the next one when it is released.
    char absent[] = "never-leased";
    counted(holdfast_lease_release(options.mount, options.socket, any_text(absent)));
  }
  }
}

// In a child no call does anything. Its threads are gone, also those that had a lock.
static void do_process(void) {
  holdfast_arena arena = {any_handle(ARENA, NULL)};
  pid_t child = fork();
  if (child == 0) {
    alarm(20);
    struct holdfast_host host = {.struct_size = sizeof(host)};
    int is_right = holdfast_host_probe(&host) == HOLDFAST_FOREIGN_PROCESS &&
                   holdfast_arena_close(arena) == HOLDFAST_FOREIGN_PROCESS &&
                   *holdfast_error_message() && *holdfast_error_json();
    _exit(is_right ? 0 : 1);
  }
  int status;
  if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
    fail("a call in a child process did more than it should, or hung");
}

// --- The run

static void *run(void *number) {
  state = first_seed + (uint64_t)(uintptr_t)number * 0x123456789;
  room = malloc(structure_room + margin);
  bytes = malloc(largest_copy);
  if (!room || !bytes)
    fail("no memory");
  while (!is_over) {
    const uint64_t choice = below(1000);
    if (choice < 10) do_token();
    else if (choice < 14) do_arena();
    else if (choice < 16) do_adopt();
    else if (choice < 40) do_guest();
    else if (choice < 50) do_fork();
    else if (choice < 90) do_segment();
    else if (choice < 96) do_save();
    else if (choice < 110) do_restore();
    else if (choice < 200) do_map();
    else if (choice < 300) do_range();
    else if (choice < 340) do_information();
    else if (choice < 350) do_lease();
    else if (choice < 351) do_process();
    else if (choice < 550) do_window();
    else if (choice < 800) do_read();
    else do_write();
  }
  free(room);
  free(bytes);
  return NULL;
}

// Without the three (epoll, event, timer) that Dispatch opens once for the process.
static int open_descriptors(int prints) {
  int count = 0, has_dispatch = 0;
  DIR *list = opendir("/proc/self/fd");
  if (!list)
    fail("/proc/self/fd cannot be read");
  for (struct dirent *entry; (entry = readdir(list));) {
    char target[256] = "";
    ssize_t length = readlinkat(dirfd(list), entry->d_name, target, sizeof(target) - 1);
    count += length > 0 && atoi(entry->d_name) != dirfd(list);
    has_dispatch |= strcmp(target, "anon_inode:[eventpoll]") == 0;
    if (prints && length > 0)
      fprintf(stderr, "  %s -> %s\n", entry->d_name, target);
  }
  closedir(list);
  return count - 3 * has_dispatch;
}

static void close_all(void) {
  for (int kind = 0; kind < kind_count; kind++)
    for (int index = 0; index < slot_count; index++) {
      struct slot *slot = &slots[kind][index];
      if (slot->id)
        close_handle((enum kind)kind, slot->id);
      drop_owner(slot->owner);
      *slot = (struct slot){0};
    }
  for (int number = 0; mount && number < 32; number++) {
    char name[32];
    snprintf(name, sizeof(name), "fuzz-%d", number);
    counted(holdfast_lease_release(mount, NULL, name));
  }
  for (int index = 0; index < 4; index++)
    if (images[index].path[0])
      unlink(images[index].path);
}

static void note_hang(int signal) {
  (void)signal;
  static const char text[] = "fuzz.c: a call does not return\n";
  if (write(2, text, sizeof(text) - 1) > 0)
    abort();
  _exit(2);
}

int main(int count, char **arguments) {
  const long seconds = count > 1 ? atol(arguments[1]) : 20;
  first_seed = count > 2 ? strtoull(arguments[2], NULL, 0) : (uint64_t)time(NULL);
  char made_folder[] = "/tmp/holdfast-fuzz-XXXXXX";
  folder = count > 3 ? arguments[3] : mkdtemp(made_folder);
  mount = getenv("HOLDFAST_MOUNT");
  signal(SIGALRM, note_hang);
  signal(SIGSEGV, note_fault);
  signal(SIGBUS, note_fault);
  alarm((unsigned)seconds + 120);
  memset(long_text, 'x', sizeof(long_text) - 1);
  char pipe[4096];
  snprintf(pipe, sizeof(pipe), "%s/pipe", folder ? folder : "");
  if (!folder || mkfifo(pipe, 0600))
    fail("the folder cannot be used");
  printf("seed %" PRIu64 ", %ld seconds, %s\n", first_seed, seconds,
         mount ? mount : "no reservoir");
  fflush(stdout);
  // What the library opens once is open before the count.
  struct holdfast_host host = {.struct_size = sizeof(host)};
  counted(holdfast_host_probe(&host));
  const int before = open_descriptors(0);
  pthread_t threads[thread_count];
  for (uintptr_t number = 0; number < thread_count; number++)
    if (pthread_create(&threads[number], NULL, run, (void *)number))
      fail("a thread cannot be started");
  sleep((unsigned)seconds);
  is_over = true;
  for (int number = 0; number < thread_count; number++)
    pthread_join(threads[number], NULL);
  room = malloc(structure_room + margin);
  close_all();
  free(room);
  unlink(pipe);
  if (count <= 3)
    rmdir(folder);
  // Threads that serve faults end after their guests.
  int after = 0;
  for (int attempt = 0; attempt < 100 && (after = open_descriptors(0)) != before; attempt++)
    usleep(50000);
  if (after != before) {
    open_descriptors(1);
    fail("descriptors are left");
  }
  printf("%lu calls, of which %lu succeeded; %lu accesses through windows; "
         "%lu MiB read and checked, %lu bytes of them not zero\n",
         calls, successes, faults_tried, bytes_checked >> 20, bytes_seen);
  return 0;
}
