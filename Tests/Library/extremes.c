// Arguments that no sensible program passes: the ends of every number's range in all combinations,
// descriptors of other kinds, and paths to what is no image. Every call may refuse them, with a
// message, but none may end the process or fail to return:
//
//   extremes [FOLDER]
#define _GNU_SOURCE
#include "count.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB ((uint64_t)1 << 20)
#define BIT(number) ((uint64_t)1 << (number))

static const uint64_t numbers[] = {
    0, 1, 4095, 4096, 4097, 2 * MIB, 8 * MIB - 1, 8 * MIB, BIT(31), BIT(32) - 1, BIT(32), BIT(47),
    BIT(48), BIT(52), BIT(62), BIT(63) - 4096, BIT(63) - 1, BIT(63), BIT(63) + 4096,
    UINT64_MAX - 2 * MIB + 1, UINT64_MAX - 4095, UINT64_MAX - 1, UINT64_MAX};
enum { number_count = sizeof(numbers) / sizeof(*numbers) };

static void expect(int condition, const char *what) {
  if (condition)
    return;
  fprintf(stderr, "extremes.c: %s: %s\n", what, holdfast_error_message());
  exit(1);
}

static holdfast_arena make_arena(uint32_t purpose) {
  struct holdfast_arena_options options = {.struct_size = sizeof(options), .size = 16 * MIB,
                                           .purpose = purpose, .backing = HOLDFAST_BACKING_BASE};
  holdfast_arena arena;
  expect(done(holdfast_arena_create(&options, &arena)), "no arena");
  return arena;
}

static void try_arenas(void) {
  // Sizes that no host has, since those that it has would take their time.
  for (int index = 0; index < number_count; index++) {
    if (numbers[index] > 0 && numbers[index] < BIT(47))
      continue;
    for (uint32_t backing = 0; backing <= HOLDFAST_BACKING_BASE; backing++) {
      struct holdfast_arena_options options = {
          .struct_size = sizeof(options), .size = numbers[index], .backing = backing};
      holdfast_arena arena;
      expect(!done(holdfast_arena_create(&options, &arena)), "an arena larger than memory");
    }
  }
  for (int index = 0; index < number_count; index++) {
    struct holdfast_arena_options options = {
        .struct_size = sizeof(options), .size = MIB, .backing = HOLDFAST_BACKING_BASE,
        .node = numbers[index], .threads = (uint32_t)numbers[index]};
    holdfast_arena arena;
    if (done(holdfast_arena_create(&options, &arena)))
      expect(done(holdfast_arena_close(arena)), "an arena that cannot be closed");
  }
  struct holdfast_arena_options options = {
      .struct_size = sizeof(options), .size = MIB, .backing = HOLDFAST_BACKING_BASE,
      .threads = UINT32_MAX};
  holdfast_arena arena;
  if (done(holdfast_arena_create(&options, &arena))) {
    done(holdfast_arena_scrub(arena));
    done(holdfast_arena_close(arena));
  }
}

static void try_guests(holdfast_arena arena) {
  for (int limit = 0; limit < number_count; limit++)
    for (uint32_t purpose = 0; purpose < 4; purpose++)
      for (int wired = 0; wired < number_count; wired += 5) {
        struct holdfast_guest_options options = {
            .struct_size = sizeof(options), .limit = numbers[limit], .purpose = purpose,
            .wired_limit = numbers[wired]};
        holdfast_guest guest;
        holdfast_segment ram;
        if (!done(holdfast_guest_create(arena, &options, &guest)))
          continue;
        if (done(holdfast_segment_create(guest, "ram", numbers[limit], &ram))) {
          done(holdfast_map(guest, ram, 0, 0, numbers[limit], 7, 0, NULL));
          done(holdfast_wire(guest, 0, numbers[limit], NULL));
        }
        done(holdfast_guest_close(guest));
      }
}

// All functions that take a range.
static void try_range(holdfast_guest guest, uint64_t address, uint64_t length) {
  static char bytes[8192];
  struct holdfast_residency residency = {.struct_size = sizeof(residency)};
  void *pointer;
  holdfast_hold hold;
  done(holdfast_guest_host_address(guest, address, length, &pointer));
  if (length <= sizeof(bytes)) {
    done(holdfast_guest_read(guest, address, bytes, length));
    done(holdfast_guest_write(guest, address, bytes, length));
  } else {
    // A length that memory cannot have is refused before the bytes are touched.
    uint64_t beyond = length | BIT(63);
    expect(!done(holdfast_guest_read(guest, address, bytes, beyond)), "2^63 bytes");
    expect(!done(holdfast_guest_write(guest, address, bytes, beyond)), "2^63 bytes");
  }
  if (length > 0) {
    expect(!done(holdfast_guest_read(guest, address, NULL, length)), "null is read into");
    expect(!done(holdfast_guest_write(guest, address, NULL, length)), "null is written from");
  }
  done(holdfast_residency(guest, address, length, &residency));
  done(holdfast_protect(guest, address, length, 3));
  if (done(holdfast_hold_pages(guest, address, length, 3, &hold)))
    done(holdfast_hold_release(hold));
  holdfast_receipt receipt;
  if (done(holdfast_wire(guest, address, length, &receipt))) {
    struct holdfast_verification verification = {.struct_size = sizeof(verification)};
    // Pages of a guest are verified one by one.
    if (length == 0 || address == 0)
      done(holdfast_receipt_verify(receipt, &verification));
    done(holdfast_receipt_close(receipt));
    done(holdfast_unwire(guest, address, length));
  }
  done(holdfast_unwire(guest, address, length));
  done(holdfast_guest_save(guest, address, length, "/nonexistent/image", NULL, NULL, NULL));
}

// More wirings and holds than 16 bits count.
static void try_many(holdfast_guest guest) {
  enum { many = 70000 };
  static holdfast_hold holds[many];
  int wirings = 0, held = 0;
  while (wirings < many && done(holdfast_wire(guest, 0, 4096, NULL)))
    wirings++;
  while (held < many && done(holdfast_hold_pages(guest, 0, 4096, 3, &holds[held])))
    held++;
  expect(held < many, "a page is held without a limit");
  while (held--)
    expect(done(holdfast_hold_release(holds[held])), "a hold is lost");
  while (wirings--)
    expect(done(holdfast_unwire(guest, 0, 4096)), "a wiring is lost");
}

static void try_ranges(uint32_t purpose) {
  holdfast_arena arena = make_arena(purpose);
  struct holdfast_guest_options options = {
      .struct_size = sizeof(options), .limit = 8 * MIB,
      .demand_paging = purpose != HOLDFAST_FOR_WIRING, .granularity = HOLDFAST_FAULT_BASE_PAGE};
  holdfast_guest guest;
  holdfast_segment ram;
  if (!done(holdfast_guest_create(arena, &options, &guest))) {
    puts("skipped: demand paging, which this host or user does not have");
    return;
  }
  expect(done(holdfast_segment_create(guest, "ram", 8 * MIB, &ram)), "no segment");
  for (int address = 0; address < number_count; address++)
    for (int length = 0; length < number_count; length++)
      for (int offset = 0; offset < number_count; offset++)
        for (uint32_t flags = 0; flags < 3; flags++)
          if (done(holdfast_map(guest, ram, numbers[address], numbers[offset], numbers[length], 3,
                                flags, NULL)))
            expect(done(holdfast_unmap(guest, numbers[address], numbers[length])),
                   "what was mapped is not unmapped");
  expect(done(holdfast_map(guest, ram, 0, 0, 8 * MIB, 3, 0, NULL)), "no memory is mapped");
  for (int address = 0; address < number_count; address++)
    for (int length = 0; length < number_count; length++)
      try_range(guest, numbers[address], numbers[length]);
  for (int size = 0; size < number_count; size++) {
    holdfast_segment other;
    if (done(holdfast_segment_create(guest, "other", numbers[size], &other)))
      expect(done(holdfast_segment_close(other)), "a segment that cannot be closed");
  }
  try_many(guest);
  done(holdfast_unmap(guest, 0, UINT64_MAX));
  done(holdfast_unmap(guest, 0, 8 * MIB));
  done(holdfast_segment_close(ram));
  done(holdfast_guest_close(guest));
  done(holdfast_arena_close(arena));
}

// --- Descriptors

static void adopt(int descriptor) {
  for (int node = 0; node < number_count; node++) {
    holdfast_arena arena;
    if (done(holdfast_arena_adopt(descriptor, numbers[node], &arena)))
      expect(done(holdfast_arena_close(arena)), "an arena that cannot be closed");
  }
  if (descriptor > 2)
    close(descriptor);
}

static void try_descriptors(const char *folder) {
  char path[4096];
  int pair[2];
  int sealed = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  int closed = dup(1);
  close(closed);
  expect(sealed >= 0 && ftruncate(sealed, 1 << 20) == 0 &&
             fcntl(sealed, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW) == 0,
         "no sealed file");
  expect(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0, "no sockets");
  snprintf(path, sizeof(path), "%s/file", folder);
  const int of_kinds[] = {
      -1, INT32_MIN, INT32_MAX, closed, 0, sealed, pair[0], pair[1], eventfd(0, EFD_CLOEXEC),
      epoll_create1(EPOLL_CLOEXEC), open("/dev/null", O_RDWR), open("/dev/zero", O_RDWR),
      open(folder, O_RDONLY | O_DIRECTORY), open(folder, O_PATH), open("/proc/self/mem", O_RDWR),
      open(path, O_RDWR | O_CREAT, 0600), open(path, O_RDONLY)};
  for (unsigned index = 0; index < sizeof(of_kinds) / sizeof(*of_kinds); index++)
    adopt(of_kinds[index]);
  unlink(path);
  for (int index = 0; index < number_count; index++) {
    int file = memfd_create("size", MFD_CLOEXEC);
    // A file with a hole of its size takes no memory, and is no lease unless it is small.
    if (ftruncate(file, (off_t)(numbers[index] & INT64_MAX)) == 0 && numbers[index] >= BIT(47))
      adopt(file);
    else
      close(file);
  }
}

// --- Names and paths

static void try_paths(holdfast_arena arena, const char *folder) {
  static char longest[200000];
  char fifo[4096], image[4096];
  memset(longest, 'a', sizeof(longest) - 1);
  snprintf(fifo, sizeof(fifo), "%s/fifo", folder);
  snprintf(image, sizeof(image), "%s/no-image", folder);
  expect(mkfifo(fifo, 0600) == 0, "no fifo");
  FILE *file = fopen(image, "w");
  expect(file && fputs("no image\n", file) >= 0 && fclose(file) == 0, "no file");
  struct holdfast_guest_options options = {
      .struct_size = sizeof(options), .limit = 8 * MIB, .demand_paging = 1};
  holdfast_guest guest;
  if (!done(holdfast_guest_create(arena, &options, &guest)))
    return;
  const char *texts[] = {"", ".", "/", folder, fifo, image, longest, longest + 199000 - 4200,
                         "\n", "\xff", "/dev/null", "/dev/full", "/proc/self/mem", "a/../b", NULL};
  for (int index = 0; index < 15; index++) {
    holdfast_segment segment;
    for (uint32_t threads = 0; threads < 3; threads++)
      if (done(holdfast_segment_restore(guest, "r", texts[index],
                                        threads == 2 ? UINT32_MAX : threads, &segment)))
        done(holdfast_segment_close(segment));
    if (done(holdfast_segment_create(guest, texts[index], 4096, &segment)))
      done(holdfast_segment_close(segment));
    struct holdfast_lease_options lease_options = {
        .struct_size = sizeof(lease_options), .size = 4096, .mount = texts[index],
        .name = texts[(index + 1) % 15]};
    holdfast_lease lease;
    if (done(holdfast_lease_create(&lease_options, &lease)))
      done(holdfast_lease_close(lease));
    lease_options.mount = NULL;
    lease_options.socket = texts[index];
    if (texts[index] && done(holdfast_lease_create(&lease_options, &lease)))
      done(holdfast_lease_close(lease));
    done(holdfast_lease_release(folder, NULL, texts[index]));
  }
  done(holdfast_guest_close(guest));
  unlink(fifo);
  unlink(image);
}

int main(int count, char **arguments) {
  const char *folder = count > 1 ? arguments[1] : "/tmp";
  alarm(300);
  try_arenas();
  holdfast_arena arena = make_arena(HOLDFAST_FOR_FORKING);
  try_guests(arena);
  try_paths(arena, folder);
  done(holdfast_arena_close(arena));
  try_descriptors(folder);
  try_ranges(HOLDFAST_FOR_WIRING);
  try_ranges(HOLDFAST_FOR_FORKING);
  printf("%lu calls with extreme arguments, of which %lu were refused\n", calls, refused);
  return 0;
}
