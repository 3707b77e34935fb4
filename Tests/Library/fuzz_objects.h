// The calls of fuzz.c that make objects and change them.
#include "fuzz_bytes.h"

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
