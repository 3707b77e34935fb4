// Each function of libholdfast as a program in C uses it: what it does, what it refuses, what a
// fork(2) means. Prints what it has checked, and ends with status 1 at the first surprise.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <holdfast.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB ((uint64_t)1 << 20)

static int line;
static void fail(const char *what) {
  fprintf(stderr, "check.c:%d: %s\n  last error: %s\n  %s\n", line, what, holdfast_error_message(),
          holdfast_error_json());
  exit(1);
}
#define CHECK(condition) (line = __LINE__, (condition) ? (void)0 : fail(#condition))
#define OK(call) (line = __LINE__, (call) == HOLDFAST_OK ? (void)0 : fail(#call))
#define REFUSED(status, call)                                                                      \
  do {                                                                                             \
    line = __LINE__;                                                                               \
    if ((call) != (status))                                                                        \
      fail(#call " is not " #status);                                                              \
    if (!*holdfast_error_message() || !strstr(holdfast_error_json(), holdfast_status_name(status)))\
      fail("no message for " #call);                                                               \
  } while (0)

static holdfast_arena make_arena(uint32_t purpose, uint32_t backing, uint64_t size) {
  struct holdfast_arena_options options = {
      .struct_size = sizeof(options), .size = size, .purpose = purpose, .backing = backing};
  holdfast_arena arena = {0};
  OK(holdfast_arena_create(&options, &arena));
  CHECK(arena.id != 0);
  return arena;
}

static holdfast_guest make_guest(holdfast_arena arena, uint64_t limit, int pages_on_demand) {
  struct holdfast_guest_options options = {
      .struct_size = sizeof(options), .limit = limit, .demand_paging = pages_on_demand,
      .granularity = HOLDFAST_FAULT_BASE_PAGE};
  holdfast_guest guest = {0};
  OK(holdfast_guest_create(arena, &options, &guest));
  return guest;
}

static void check_errors(void) {
  CHECK(holdfast_version() == (HOLDFAST_VERSION_MAJOR << 16 | HOLDFAST_VERSION_MINOR << 8 |
                               HOLDFAST_VERSION_PATCH));
  CHECK(strcmp(holdfast_error_message(), "") == 0);
  CHECK(strcmp(holdfast_status_name(HOLDFAST_NO_LEASE), "noLease") == 0);
  CHECK(strcmp(holdfast_status_name(-7), "unknown") == 0);
  holdfast_text_free(NULL);
  REFUSED(HOLDFAST_INVALID_ARGUMENT, holdfast_host_probe(NULL));
  struct holdfast_host host = {0};
  // The size was forgotten.
  REFUSED(HOLDFAST_INVALID_ARGUMENT, holdfast_host_probe(&host));
  host.struct_size = (uint64_t)1 << 40;
  REFUSED(HOLDFAST_INVALID_ARGUMENT, holdfast_host_probe(&host));
  host.struct_size = sizeof(host);
  OK(holdfast_host_probe(&host));
  CHECK(host.total > 0 && host.processors > 0 && host.struct_size == sizeof(host));
  // A caller of an older version knows fewer members, one of a later version more.
  struct {
    struct holdfast_host host;
    uint64_t later;
  } other;
  memset(&other, 0xA5, sizeof(other));
  other.host.struct_size = 24;
  OK(holdfast_host_probe(&other.host));
  CHECK(other.host.features == host.features && other.host.total == 0xA5A5A5A5A5A5A5A5);
  other.host.struct_size = sizeof(other);
  OK(holdfast_host_probe(&other.host));
  CHECK(other.host.total == host.total && other.later == 0);
  char *json = NULL;
  OK(holdfast_host_json(&json));
  CHECK(json && json[0] == '{' && strstr(json, "\"processors\""));
  holdfast_text_free(json);
}

static void check_handles(void) {
  holdfast_arena none = {0};
  struct holdfast_arena_info info = {.struct_size = sizeof(info)};
  REFUSED(HOLDFAST_INVALID_HANDLE, holdfast_arena_info(none, &info));
  holdfast_token token;
  OK(holdfast_token_create(&token));
  holdfast_arena wrong = {token.id};
  REFUSED(HOLDFAST_INVALID_HANDLE, holdfast_arena_close(wrong));
  OK(holdfast_token_cancel(token));
  OK(holdfast_token_close(token));
  REFUSED(HOLDFAST_INVALID_HANDLE, holdfast_token_close(token));
  REFUSED(HOLDFAST_INVALID_HANDLE, holdfast_token_cancel(token));
  holdfast_token next;
  OK(holdfast_token_create(&next));
  CHECK(next.id != token.id);
  OK(holdfast_token_close(next));
}

static void note(void *context, uint64_t done, uint64_t total) {
  uint64_t *largest = context;
  if (done > *largest)
    *largest = done;
  if (done > total)
    *largest = UINT64_MAX;
}

static void check_wiring(void) {
  uint64_t done = 0;
  struct holdfast_arena_options options = {.struct_size = sizeof(options),
                                           .size = 32 * MIB,
                                           .backing = HOLDFAST_BACKING_BASE,
                                           .progress = note,
                                           .progress_context = &done};
  holdfast_arena arena;
  options.purpose = 3;
  REFUSED(HOLDFAST_INVALID_ARGUMENT, holdfast_arena_create(&options, &arena));
  options.purpose = HOLDFAST_FOR_WIRING;
  options.backing = 6;
  REFUSED(HOLDFAST_INVALID_ARGUMENT, holdfast_arena_create(&options, &arena));
  options.backing = HOLDFAST_BACKING_BASE;
  OK(holdfast_arena_create(&options, &arena));
  CHECK(done == 32 * MIB);
  struct holdfast_arena_info info = {.struct_size = sizeof(info)};
  OK(holdfast_arena_info(arena, &info));
  CHECK(info.size == 32 * MIB && info.page_size == 4096 && info.free == info.size &&
        info.zeroed == info.size && info.backing == HOLDFAST_BACKING_BASE);

  holdfast_guest guest = make_guest(arena, 16 * MIB, 0);
  holdfast_segment ram;
  REFUSED(HOLDFAST_INVALID_ARGUMENT, holdfast_segment_create(guest, "ram", 4097, &ram));
  REFUSED(HOLDFAST_INVALID_ARGUMENT, holdfast_segment_create(guest, NULL, 4096, &ram));
  REFUSED(HOLDFAST_INVALID_ARGUMENT, holdfast_segment_create(guest, "\xff", 4096, &ram));
  // The message is one line, whatever the name has.
  REFUSED(HOLDFAST_INVALID_ARGUMENT, holdfast_segment_create(guest, "a\nb\x1b", 4097, &ram));
  CHECK(!strpbrk(holdfast_error_message(), "\n\x1b") && strstr(holdfast_error_json(), "a\\nb"));
  OK(holdfast_segment_create(guest, "ram", 8 * MIB, &ram));
  REFUSED(HOLDFAST_ALREADY_EXISTS, holdfast_segment_create(guest, "ram", 8 * MIB, &ram));
  const uint32_t all = HOLDFAST_READ | HOLDFAST_WRITE | HOLDFAST_EXECUTE;
  holdfast_receipt receipt;
  REFUSED(HOLDFAST_INVALID_ARGUMENT,
          holdfast_map(guest, ram, 0, 0, 8 * MIB, 8, HOLDFAST_MAP_WIRED, &receipt));
  REFUSED(HOLDFAST_INVALID_ARGUMENT, holdfast_map(guest, ram, 0, 0, 8 * MIB, all, 2, &receipt));
  REFUSED(HOLDFAST_INVALID_ARGUMENT,
          holdfast_map(guest, ram, UINT64_MAX - 4095, 0, 8 * MIB, all, 0, &receipt));
  OK(holdfast_map(guest, ram, 0, 0, 8 * MIB, all, HOLDFAST_MAP_WIRED, &receipt));
  struct holdfast_receipt_info obtained = {.struct_size = sizeof(obtained)};
  OK(holdfast_receipt_info(receipt, &obtained));
  CHECK(obtained.wired == 8 * MIB && obtained.zeroed_ahead == 8 * MIB && obtained.nanoseconds > 0);
  struct holdfast_verification verification = {.struct_size = sizeof(verification)};
  OK(holdfast_receipt_verify(receipt, &verification));
  CHECK(verification.is_verified && verification.present == 8 * MIB && !verification.problems);
  char *json;
  OK(holdfast_receipt_json(receipt, &json));
  CHECK(strstr(json, "\"wiredBytes\":8388608"));
  holdfast_text_free(json);
  OK(holdfast_receipt_verify_json(receipt, &json));
  CHECK(strstr(json, "\"verified\":true"));
  holdfast_text_free(json);

  // Bytes through the library and through the window are the same.
  void *memory;
  OK(holdfast_guest_host_address(guest, 4 * MIB + 5, 100, &memory));
  REFUSED(HOLDFAST_INVALID_ADDRESS, holdfast_guest_host_address(guest, 16 * MIB, 1, &memory));
  OK(holdfast_guest_write(guest, 4 * MIB + 5, "holdfast", 9));
  CHECK(strcmp(memory, "holdfast") == 0);
  strcpy(memory, "changed");
  char text[9];
  OK(holdfast_guest_read(guest, 4 * MIB + 5, text, 9));
  CHECK(strcmp(text, "changed") == 0);
  OK(holdfast_guest_read(guest, 0, NULL, 0));
  REFUSED(HOLDFAST_INVALID_ARGUMENT, holdfast_guest_read(guest, 0, NULL, 1));
  REFUSED(HOLDFAST_INVALID_ARGUMENT, holdfast_guest_read(guest, 0, text, UINT64_MAX));
  REFUSED(HOLDFAST_INVALID_ADDRESS, holdfast_guest_write(guest, 8 * MIB - 1, "ab", 2));

  OK(holdfast_protect(guest, MIB, 4096, HOLDFAST_READ));
  REFUSED(HOLDFAST_PROTECTION_FAILURE, holdfast_guest_write(guest, MIB, "x", 1));
  OK(holdfast_protect(guest, MIB, 4096, all));
  OK(holdfast_guest_write(guest, MIB, "x", 1));
  REFUSED(HOLDFAST_INVALID_ADDRESS, holdfast_protect(guest, 8 * MIB, 4096, all));
  struct holdfast_residency residency = {.struct_size = sizeof(residency)};
  OK(holdfast_residency(guest, 0, 16 * MIB, &residency));
  CHECK(residency.resident == 8 * MIB && residency.shared == 0);

  holdfast_receipt again;
  OK(holdfast_wire(guest, 0, MIB, &again));
  OK(holdfast_unwire(guest, 0, MIB));
  OK(holdfast_unmap(guest, 0, MIB));
  REFUSED(HOLDFAST_INVALID_ADDRESS, holdfast_guest_read(guest, 0, text, 1));
  OK(holdfast_receipt_close(again));
  REFUSED(HOLDFAST_INVALID_HANDLE, holdfast_receipt_json(again, &json));

  // The receipt of an empty range is verified too, wherever that is: also where the guest has no
  // addresses.
  const uint64_t empty[] = {0, 8 * MIB, 16 * MIB, (uint64_t)1 << 63, UINT64_MAX - 4095};
  for (int index = 0; index < 5; index++) {
    OK(holdfast_wire(guest, empty[index], 0, &again));
    OK(holdfast_receipt_verify(again, &verification));
    CHECK(verification.present == 0);
    OK(holdfast_receipt_close(again));
  }

  // Held pages are no other guest's before they are released, whatever becomes of their guest.
  holdfast_hold hold;
  OK(holdfast_hold_pages(guest, 2 * MIB, MIB, HOLDFAST_WRITE, &hold));
  OK(holdfast_unmap(guest, 2 * MIB, MIB));
  OK(holdfast_segment_close(ram));
  OK(holdfast_guest_close(guest));
  REFUSED(HOLDFAST_INVALID_HANDLE, holdfast_guest_close(guest));
  OK(holdfast_hold_release(hold));
  REFUSED(HOLDFAST_INVALID_HANDLE, holdfast_hold_release(hold));
  REFUSED(HOLDFAST_INVALID_ADDRESS, holdfast_receipt_verify(receipt, &verification));
  OK(holdfast_receipt_close(receipt));
  OK(holdfast_arena_info(arena, &info));
  CHECK(info.free == info.size && info.zeroed < info.size);
  OK(holdfast_arena_scrub(arena));
  OK(holdfast_arena_info(arena, &info));
  CHECK(info.zeroed == info.size);
  OK(holdfast_arena_close(arena));
}

static void check_paging(const char *folder) {
  struct holdfast_host host = {.struct_size = sizeof(host)};
  OK(holdfast_host_probe(&host));
  if (!(host.features & HOLDFAST_HOST_DEMAND_PAGING)) {
    puts("skipped: demand paging, which this host or user does not have");
    return;
  }
  // Under valgrind, which runs one thread at a time, no other thread could serve a fault.
  if (getenv("HOLDFAST_NO_PAGING")) {
    puts("skipped: demand paging, since HOLDFAST_NO_PAGING is set");
    return;
  }
  holdfast_arena arena = make_arena(HOLDFAST_FOR_FORKING, HOLDFAST_BACKING_BASE, 32 * MIB);
  holdfast_guest guest = make_guest(arena, 8 * MIB, 1);
  holdfast_segment ram;
  OK(holdfast_segment_create(guest, "ram", 8 * MIB, &ram));
  OK(holdfast_map(guest, ram, 0, 0, 8 * MIB, HOLDFAST_READ | HOLDFAST_WRITE, 0, NULL));
  char *memory;
  OK(holdfast_guest_host_address(guest, 0, 8 * MIB, (void **)&memory));
  for (int page = 0; page < 100; page++)
    memory[page * 4096] = (char)page;
  struct holdfast_guest_info info = {.struct_size = sizeof(info)};
  OK(holdfast_guest_info(guest, &info));
  CHECK(info.host_address == (uint64_t)(uintptr_t)memory && info.faults >= 100 && !info.is_direct);
  OK(holdfast_guest_retry_faults(guest));

  holdfast_guest child;
  struct holdfast_fork_info fork_info = {.struct_size = sizeof(fork_info)};
  REFUSED(HOLDFAST_INVALID_ARGUMENT, holdfast_guest_fork(guest, NULL, &fork_info));
  OK(holdfast_guest_fork(guest, &child, &fork_info));
  CHECK(fork_info.resident == 100 * 4096 && fork_info.shared == 100 * 4096);
  char *childs;
  OK(holdfast_guest_host_address(child, 0, 8 * MIB, (void **)&childs));
  memory[0] = 77;
  childs[4096] = 78;
  CHECK(childs[0] == 0 && memory[4096] == 1 && childs[99 * 4096] == 99);

  char path[4096];
  snprintf(path, sizeof(path), "%s/image", folder);
  struct holdfast_snapshot_info saved = {.struct_size = sizeof(saved)};
  uint64_t done = 0;
  OK(holdfast_guest_save(child, 0, 8 * MIB, path, note, &done, &saved));
  CHECK(saved.size == 8 * MIB && saved.written >= 99 * 4096 && done == 8 * MIB);
  REFUSED(HOLDFAST_HOST,
          holdfast_guest_save(child, 0, 8 * MIB, "/nonexistent/x", NULL, NULL, NULL));
  for (uint32_t threads = 0; threads < 2; threads++) {
    holdfast_guest restored = make_guest(arena, 8 * MIB, 1);
    holdfast_segment image;
    REFUSED(HOLDFAST_HOST, holdfast_segment_restore(restored, "r", "/nonexistent", 0, &image));
    OK(holdfast_segment_restore(restored, "ram", path, threads, &image));
    OK(holdfast_map(restored, image, 0, 0, 8 * MIB, HOLDFAST_READ | HOLDFAST_WRITE, 0, NULL));
    char *bytes;
    OK(holdfast_guest_host_address(restored, 0, 8 * MIB, (void **)&bytes));
    CHECK(bytes[0] == 0 && bytes[4096] == 78 && bytes[99 * 4096] == 99 && bytes[7 * MIB] == 0);
    OK(holdfast_guest_close(restored));
    OK(holdfast_segment_close(image));
  }
  OK(holdfast_arena_close(arena));
  OK(holdfast_guest_close(guest));
  CHECK(childs[99 * 4096] == 99);
  OK(holdfast_guest_close(child));
  OK(holdfast_segment_close(ram));
}

enum { daemon_threads = 4 };
static pthread_barrier_t daemon_start;

static void *use_in_daemon(void *unused) {
  (void)unused;
  pthread_barrier_wait(&daemon_start);
  for (int round = 0; round < 3; round++) {
    char *json;
    OK(holdfast_host_json(&json));
    holdfast_text_free(json);
    holdfast_arena arena = make_arena(HOLDFAST_FOR_WIRING, HOLDFAST_BACKING_BASE, 4 * MIB);
    OK(holdfast_arena_scrub(arena));
    OK(holdfast_arena_close(arena));
  }
  // Each thread has its own error.
  REFUSED(HOLDFAST_INVALID_HANDLE, holdfast_arena_close((holdfast_arena){1}));
  return NULL;
}

// A process that forks before its first call may use the library in the child, as a daemon does:
// the thread that forked, and others at the same time.
static void check_daemon(void) {
  pid_t child = fork();
  if (child == 0) {
    alarm(30);
    pthread_t threads[daemon_threads];
    CHECK(pthread_barrier_init(&daemon_start, NULL, daemon_threads + 1) == 0);
    for (int index = 0; index < daemon_threads; index++)
      CHECK(pthread_create(&threads[index], NULL, use_in_daemon, NULL) == 0);
    use_in_daemon(NULL);
    for (int index = 0; index < daemon_threads; index++)
      pthread_join(threads[index], NULL);
    holdfast_arena arena = make_arena(HOLDFAST_FOR_WIRING, HOLDFAST_BACKING_BASE, 4 * MIB);
    OK(holdfast_guest_close(make_guest(arena, 4 * MIB, 0)));
    OK(holdfast_arena_close(arena));
    _exit(0);
  }
  int status;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static void note_signals(void *mask, uint64_t done, uint64_t total) {
  (void)done, (void)total;
  CHECK(pthread_sigmask(SIG_BLOCK, NULL, mask) == 0);
}

// The thread that makes the calls of the one that forked has this one's mask for signals of an
// instruction, which end the process where they are blocked. This one is not cancelled while the
// other uses its stack.
static void check_daemon_thread(void) {
  pid_t child = fork();
  if (child == 0) {
    alarm(30);
    sigset_t mask, own;
    sigemptyset(&own);
    sigaddset(&own, SIGFPE);
    sigfillset(&mask);
    CHECK(pthread_sigmask(SIG_BLOCK, &own, NULL) == 0);
    struct holdfast_arena_options options = {
        .struct_size = sizeof(options), .size = 4 * MIB, .backing = HOLDFAST_BACKING_BASE,
        .threads = 1, .progress = note_signals, .progress_context = &mask};
    holdfast_arena arena;
    OK(holdfast_arena_create(&options, &arena));
    CHECK(!sigismember(&mask, SIGSEGV) && !sigismember(&mask, SIGBUS));
    CHECK(sigismember(&mask, SIGFPE) && sigismember(&mask, SIGUSR1));
    CHECK(pthread_sigmask(SIG_BLOCK, NULL, &mask) == 0 && !sigismember(&mask, SIGUSR1));
    CHECK(pthread_cancel(pthread_self()) == 0);
    // A cancelled process would end with 0.
    _exit(holdfast_arena_close(arena) == HOLDFAST_OK ? 7 : 1);
  }
  int status;
  CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

static void check_child(void) {
  holdfast_arena arena = make_arena(HOLDFAST_FOR_WIRING, HOLDFAST_BACKING_BASE, 4 * MIB);
  holdfast_guest guest = make_guest(arena, 4 * MIB, 0);
  pid_t child = fork();
  if (child == 0) {
    char byte;
    REFUSED(HOLDFAST_FOREIGN_PROCESS, holdfast_guest_read(guest, 0, &byte, 1));
    REFUSED(HOLDFAST_FOREIGN_PROCESS, holdfast_guest_close(guest));
    REFUSED(HOLDFAST_FOREIGN_PROCESS, holdfast_arena_close(arena));
    _exit(0);
  }
  int status;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  OK(holdfast_guest_close(guest));
  OK(holdfast_arena_close(arena));
}

static void *other_thread(void *unused) {
  (void)unused;
  CHECK(strcmp(holdfast_error_message(), "") == 0);
  REFUSED(HOLDFAST_INVALID_HANDLE, holdfast_arena_close((holdfast_arena){1}));
  return NULL;
}

static void check_threads(void) {
  REFUSED(HOLDFAST_INVALID_ARGUMENT, holdfast_host_probe(NULL));
  char before[200];
  snprintf(before, sizeof(before), "%s", holdfast_error_message());
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, other_thread, NULL) == 0);
  pthread_join(thread, NULL);
  CHECK(strcmp(before, holdfast_error_message()) == 0);
}

// check_lease(): memory of a reservoir on the mount of HOLDFAST_MOUNT, with ready files of 4 MiB.
static void check_lease(void) {
  const char *mount = getenv("HOLDFAST_MOUNT");
  struct holdfast_lease_options options = {.struct_size = sizeof(options), .size = 4 * MIB};
  holdfast_lease lease;
  options.mount = "/nonexistent";
  REFUSED(HOLDFAST_NO_RESERVOIR, holdfast_lease_create(&options, &lease));
  if (!mount) {
    puts("skipped: leases, since HOLDFAST_MOUNT names no reservoir");
    return;
  }
  options.mount = mount;
  options.name = "a/b";
  REFUSED(HOLDFAST_INVALID_ARGUMENT, holdfast_lease_create(&options, &lease));
  options.name = "by-path";
  OK(holdfast_lease_create(&options, &lease));
  struct holdfast_lease_info info = {.struct_size = sizeof(info)};
  OK(holdfast_lease_info(lease, &info));
  CHECK(info.size == 4 * MIB && info.is_exclusive && !info.is_held);
  char *path, *name;
  OK(holdfast_lease_path(lease, &path));
  OK(holdfast_lease_name(lease, &name));
  CHECK(access(path, R_OK | W_OK) == 0 && strcmp(name, "by-path") == 0);
  OK(holdfast_lease_close(lease));
  OK(holdfast_lease_release(mount, NULL, name));
  CHECK(access(path, F_OK) != 0);
  REFUSED(HOLDFAST_NO_LEASE, holdfast_lease_release(mount, NULL, name));
  holdfast_text_free(path);
  holdfast_text_free(name);

  options.name = NULL;
  options.is_held = 1;
  OK(holdfast_lease_create(&options, &lease));
  int descriptor;
  OK(holdfast_lease_descriptor(lease, &descriptor));
  CHECK(fcntl(descriptor, F_GETFD) & FD_CLOEXEC);
  close(descriptor);
  holdfast_arena arena;
  OK(holdfast_lease_adopt(lease, &arena));
  REFUSED(HOLDFAST_BUSY, holdfast_lease_adopt(lease, &arena));
  REFUSED(HOLDFAST_BUSY, holdfast_lease_descriptor(lease, &descriptor));
  OK(holdfast_lease_close(lease));
  struct holdfast_arena_info arena_info = {.struct_size = sizeof(arena_info)};
  OK(holdfast_arena_info(arena, &arena_info));
  CHECK(arena_info.size == 4 * MIB && arena_info.zeroed == 4 * MIB);
  holdfast_guest guest = make_guest(arena, 4 * MIB, 0);
  holdfast_segment ram;
  OK(holdfast_segment_create(guest, "ram", 4 * MIB, &ram));
  OK(holdfast_map(guest, ram, 0, 0, 4 * MIB, HOLDFAST_READ | HOLDFAST_WRITE, HOLDFAST_MAP_WIRED,
                  NULL));
  OK(holdfast_guest_write(guest, 0, "dirty", 5));
  OK(holdfast_segment_close(ram));
  OK(holdfast_guest_close(guest));
  OK(holdfast_arena_close(arena));
  // A file of the owner's own, by descriptor.
  options.is_held = 0;
  OK(holdfast_lease_create(&options, &lease));
  OK(holdfast_lease_descriptor(lease, &descriptor));
  REFUSED(HOLDFAST_HOST, holdfast_arena_adopt(-1, 0, &arena));
  OK(holdfast_arena_adopt(descriptor, 0, &arena));
  close(descriptor);
  OK(holdfast_arena_close(arena));
  OK(holdfast_lease_name(lease, &name));
  OK(holdfast_lease_close(lease));
  OK(holdfast_lease_release(mount, NULL, name));
  holdfast_text_free(name);
  // No memory becomes ready meanwhile, and a token ends the wait.
  options.size = 1024 * MIB;
  options.timeout_nanoseconds = 1000000;
  REFUSED(HOLDFAST_NO_READY_MEMORY, holdfast_lease_create(&options, &lease));
  OK(holdfast_token_create(&options.token));
  OK(holdfast_token_cancel(options.token));
  options.timeout_nanoseconds = UINT64_MAX;
  REFUSED(HOLDFAST_CANCELLED, holdfast_lease_create(&options, &lease));
  OK(holdfast_token_close(options.token));
  REFUSED(HOLDFAST_INVALID_HANDLE, holdfast_lease_create(&options, &lease));
}

static int open_descriptors(void) {
  int count = 0;
  for (int fd = 0; fd < 256; fd++)
    count += fcntl(fd, F_GETFD) >= 0;
  return count;
}

int main(int count, char **arguments) {
  const char *folder = count > 1 ? arguments[1] : "/tmp";
  int before = open_descriptors();
  // What goes wrong only where threads meet does so in some of them; valgrind runs one at a time.
  for (int round = 0; round < (getenv("HOLDFAST_NO_PAGING") ? 1 : 12); round++)
    check_daemon();
  check_daemon_thread();
  check_errors();
  check_handles();
  check_wiring();
  check_paging(folder);
  check_lease();
  check_child();
  check_threads();
  CHECK(open_descriptors() == before);
  puts("all functions of libholdfast do what the header says");
  return 0;
}
