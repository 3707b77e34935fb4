// What libholdfast does where the kernel refuses: a process for each system call that the library
// makes, where a filter refuses that one, and for each limit, which is tiny there:
//
//   refuse [FOLDER]
//
// The filter comes before the first call, when there is an arena, or when a guest has memory. Every
// call may fail then, with a message, but none may end the process or fail to return.
//
// At last a guest whose access to memory the kernel refuses to end: no other guest gets that
// memory, and no fork shares it. And a daemon whose forking thread gets no other thread for its
// calls.
#define _GNU_SOURCE
#include "count.h"
#include "lost_parent.h"
#include "refusal.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

// --- What is refused

static const struct refusal madvise_too = CALL(madvise), openat_too = CALL(openat);
static const struct refusal clone_too = CALL(clone);
static const struct refusal threadless = {"all threads", SYS_clone3, 0, 0, &clone_too};
static const struct refusal no_access = {"mprotect to none", SYS_mprotect, 2, ZERO, NULL};
static const struct refusal no_access_too = {"", SYS_mprotect, 2, ZERO, &madvise_too};
static const struct refusal endless = {"all that ends access", SYS_mmap, 3, MAP_FIXED,
                                       &no_access_too};
static const struct refusal refusals[] = {
    {"mmap of files", SYS_mmap, 3, MAP_SHARED, NULL},
    {"mmap at addresses", SYS_mmap, 3, MAP_FIXED, NULL},
    {"mmap of windows", SYS_mmap, 3, MAP_NORESERVE, NULL},
    {"mprotect to none", SYS_mprotect, 2, ZERO, NULL},
    {"mmap at addresses, and mprotect to none", SYS_mmap, 3, MAP_FIXED, &no_access},
    {"all that ends access", SYS_mmap, 3, MAP_FIXED, &no_access_too},
    {"getrandom and openat", SYS_getrandom, 0, 0, &openat_too},
    CALL(mremap), CALL(madvise), CALL(mincore), CALL(mbind), CALL(mlock), CALL(memfd_create),
    CALL(ftruncate), CALL(fallocate), CALL(fcntl), CALL(openat), CALL(close), CALL(newfstatat),
    CALL(fstatfs), CALL(lseek), CALL(pread64), CALL(pwrite64), CALL(getdents64), CALL(linkat),
    CALL(fchmod), CALL(fsync), CALL(userfaultfd), CALL(ioctl), CALL(eventfd2), CALL(clone),
    CALL(clone3), CALL(sched_getaffinity), CALL(prctl), CALL(prlimit64), CALL(getrandom),
    CALL(rt_sigprocmask), CALL(rt_sigpending), CALL(geteuid),
#ifdef SYS_poll
    CALL(poll), CALL(unlink),
#else
    CALL(ppoll), CALL(unlinkat),
#endif
};
// At each moment; a call that the kernel does not have is missing from the start.
static const int answers[][3] = {{ENOSYS, EPERM}, {EPERM}, {EPERM, ENOMEM}};

static const struct limit {
  const char *name;
  int resource;
  rlim_t value;
} limits[] = {
    {"RLIMIT_NOFILE of 0", RLIMIT_NOFILE, 0},
    {"RLIMIT_NOFILE of 4", RLIMIT_NOFILE, 4},
    {"RLIMIT_NOFILE of 7", RLIMIT_NOFILE, 7},
    {"RLIMIT_MEMLOCK of 0", RLIMIT_MEMLOCK, 0},
    {"RLIMIT_NPROC of 1", RLIMIT_NPROC, 1},
    {"RLIMIT_STACK of 4 KiB", RLIMIT_STACK, 4096},
    {"RLIMIT_FSIZE of 4 KiB", RLIMIT_FSIZE, 4096},
    // On top of what is mapped already.
    {"RLIMIT_AS of 4 MiB", RLIMIT_AS, 4 * MIB},
    {"RLIMIT_AS of 64 MiB", RLIMIT_AS, 64 * MIB},
};
enum { refusal_count = sizeof(refusals) / sizeof(*refusals) };
enum { limit_count = sizeof(limits) / sizeof(*limits), moment_count = 3 };

static uint64_t mapped_bytes(void) {
  unsigned long pages = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (!file || fscanf(file, "%lu", &pages) != 1)
    stop("/proc/self/statm");
  fclose(file);
  return pages * 4096;
}

static void lower(const struct limit *limit) {
  struct rlimit value = {limit->value, limit->value};
  if (limit->resource == RLIMIT_AS)
    value.rlim_cur = value.rlim_max = mapped_bytes() + limit->value;
  if (setrlimit(limit->resource, &value) != 0)
    stop("setrlimit");
}

// --- What a program does

static void use_bytes(holdfast_guest guest, uint64_t address) {
  char bytes[8192];
  memset(bytes, 0x5A, sizeof(bytes));
  if (done(holdfast_guest_write(guest, address, bytes, sizeof(bytes))) &&
      done(holdfast_guest_read(guest, address, bytes, sizeof(bytes))) && bytes[4096] != 0x5A) {
    fprintf(stderr, "refuse.c: a byte that was written is lost\n");
    _exit(2);
  }
}

static void use_receipt(holdfast_receipt receipt) {
  struct holdfast_verification verification = {.struct_size = sizeof(verification)};
  char *json;
  done(holdfast_receipt_verify(receipt, &verification));
  if (done(holdfast_receipt_json(receipt, &json)))
    holdfast_text_free(json);
  done(holdfast_receipt_close(receipt));
}

// Makes and uses everything; refuse(moment) is called at each moment.
static void use_library(const char *folder, uint32_t purpose, void (*refuse)(int)) {
  const uint64_t size = 4 * MIB;
  const uint32_t all = HOLDFAST_READ | HOLDFAST_WRITE;
  const int on_demand = purpose != HOLDFAST_FOR_WIRING;
  char path[4096];
  snprintf(path, sizeof(path), "%s/refused", folder);
  refuse(0);
  struct holdfast_host host = {.struct_size = sizeof(host)};
  done(holdfast_host_probe(&host));
  struct holdfast_arena_options arena_options = {
      .struct_size = sizeof(arena_options), .size = 2 * size, .purpose = purpose,
      .backing = HOLDFAST_BACKING_BASE};
  holdfast_arena arena = {0};
  done(holdfast_arena_create(&arena_options, &arena));
  refuse(1);
  struct holdfast_guest_options guest_options = {
      .struct_size = sizeof(guest_options), .limit = size, .demand_paging = (uint32_t)on_demand,
      .granularity = HOLDFAST_FAULT_BASE_PAGE};
  holdfast_guest guest = {0}, child = {0}, restored = {0};
  holdfast_segment ram = {0}, image = {0};
  holdfast_receipt receipt;
  holdfast_hold hold = {0};
  done(holdfast_guest_create(arena, &guest_options, &guest));
  done(holdfast_segment_create(guest, "ram", size, &ram));
  done(holdfast_map(guest, ram, 0, 0, size, all, 0, NULL));
  use_bytes(guest, 0);
  refuse(2);
  use_bytes(guest, MIB - 100);
  if (done(holdfast_wire(guest, 0, size / 2, &receipt)))
    use_receipt(receipt);
  done(holdfast_hold_pages(guest, MIB, MIB / 2, HOLDFAST_WRITE, &hold));
  done(holdfast_protect(guest, 2 * MIB, 4096, HOLDFAST_READ));
  done(holdfast_unwire(guest, 0, size / 2));
  if (on_demand)
    done(holdfast_guest_fork(guest, &child, NULL));
  use_bytes(guest, 3 * MIB);
  if (on_demand)
    use_bytes(child, 3 * MIB);
  done(holdfast_guest_save(guest, 0, size, path, NULL, NULL, NULL));
  if (on_demand && done(holdfast_guest_create(arena, &guest_options, &restored)) &&
      done(holdfast_segment_restore(restored, "image", path, 2, &image))) {
    done(holdfast_map(restored, image, 0, 0, size, all, 0, NULL));
    use_bytes(restored, 4096);
  }
  done(holdfast_unmap(guest, 4096, size / 2));
  done(holdfast_guest_retry_faults(guest));
  done(holdfast_hold_release(hold));
  done(holdfast_guest_close(guest));
  if (on_demand) {
    done(holdfast_segment_close(image));
    done(holdfast_guest_close(restored));
  }
  done(holdfast_arena_scrub(arena));
  done(holdfast_arena_close(arena));
  if (on_demand) {
    use_bytes(child, 0);
    done(holdfast_guest_close(child));
  }
  done(holdfast_segment_close(ram));
  char *json;
  if (done(holdfast_host_json(&json)))
    holdfast_text_free(json);
  unlink(path);
}

// A guest keeps its access to memory that it has given back, since the kernel refuses to end that.
// Whatever gets memory afterwards must not get that.
static void lose_guest(uint32_t purpose) {
  const uint64_t size = 4 * MIB;
  const uint32_t all = HOLDFAST_READ | HOLDFAST_WRITE;
  struct holdfast_arena_options arena_options = {
      .struct_size = sizeof(arena_options), .size = size, .purpose = purpose,
      .backing = HOLDFAST_BACKING_BASE};
  struct holdfast_guest_options options = {
      .struct_size = sizeof(options), .limit = size,
      .demand_paging = purpose != HOLDFAST_FOR_WIRING};
  struct holdfast_arena_info info = {.struct_size = sizeof(info)};
  holdfast_arena arena;
  holdfast_guest guest, next;
  holdfast_segment ram, other;
  char *memory;
  int copy = memfd_create("copy", MFD_CLOEXEC);
  if (copy < 0 || !done(holdfast_arena_create(&arena_options, &arena)) ||
      !done(holdfast_guest_create(arena, &options, &guest)) ||
      !done(holdfast_segment_create(guest, "ram", size, &ram)) ||
      !done(holdfast_map(guest, ram, 0, 0, size, all, HOLDFAST_MAP_WIRED, NULL)) ||
      !done(holdfast_guest_host_address(guest, 0, size, (void **)&memory)))
    stop("a guest that is lost");
  memset(memory, 0x5A, size);
  install(&endless, EPERM);
  done(holdfast_unmap(guest, 0, size));
  done(holdfast_segment_close(ram));
  // Unless it is still the guest's, a byte of this one shows in the window.
  options.demand_paging = 0;
  options.purpose = HOLDFAST_GUEST_WIRING;
  if (done(holdfast_guest_create(arena, &options, &next)) &&
      done(holdfast_segment_create(next, "other", size, &other)) &&
      done(holdfast_map(next, other, 0, 0, size, all, HOLDFAST_MAP_WIRED, NULL))) {
    use_bytes(next, 0);
    use_bytes(next, size - 8192);
  }
  if (!done(holdfast_arena_info(arena, &info)) || info.free != size) {
    fprintf(stderr, "refuse.c: a frame of a lost guest is in use again\n");
    _exit(2);
  }
  // By the kernel, which reports what is not accessible.
  if (write(copy, memory, size) == (ssize_t)size && memory[0] != 0x5A) {
    fprintf(stderr, "refuse.c: a guest sees what is another's\n");
    _exit(2);
  }
  done(holdfast_guest_close(guest));
}

// The thread that forked this process gets an error of its calls, which it cannot make itself.
static void call_without_threads(void) {
  struct holdfast_host host = {.struct_size = sizeof(host)};
  install(&threadless, EAGAIN);
  if (holdfast_host_probe(&host) != HOLDFAST_HOST ||
      !strstr(holdfast_error_message(), "ulimit -u") ||
      !strstr(holdfast_error_json(), "\"code\":\"host\"") ||
      !strstr(holdfast_error_json(), "\"errno\":11")) {
    fprintf(stderr, "refuse.c: without a thread: %s\n", holdfast_error_json());
    _exit(2);
  }
  refused++;
}

// --- The processes

static const struct refusal *refusal;
static const struct limit *limit;
static int answer, moment;

static void refuse(int now) {
  if (now != moment)
    return;
  if (refusal)
    install(refusal, answer);
  if (limit)
    lower(limit);
}

struct work {
  const char *folder;
  uint32_t purpose;
};

static void *use_in_thread(void *argument) {
  const struct work *work = argument;
  use_library(work->folder, work->purpose, refuse);
  return NULL;
}

// Where no thread starts, all calls of the thread that forked fail alike, so another one uses the
// library.
static void use_elsewhere(const char *folder, uint32_t purpose) {
  struct work work = {folder, purpose};
  pthread_t thread;
  if (pthread_create(&thread, NULL, use_in_thread, &work) != 0)
    stop("pthread_create");
  pthread_join(thread, NULL);
}

// Returns whether a call failed in the process. Its core would be that of a bug, which it prints.
static int run(const char *folder, uint32_t purpose, int *bad) {
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    alarm(60);
    if (refusal == &endless)
      lose_guest(purpose);
    else if (refusal == &writable)
      lose_parent();
    else if (refusal == &threadless)
      call_without_threads();
    else if (refusal && (refusal->number == SYS_clone || refusal->number == SYS_clone3))
      use_elsewhere(folder, purpose);
    else
      use_library(folder, purpose, refuse);
    _exit(refused ? 1 : 0);
  }
  int status;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) < 2)
    return WEXITSTATUS(status);
  (*bad)++;
  printf("purpose %u, moment %d, %s", purpose, moment, refusal ? refusal->name : limit->name);
  if (refusal)
    printf(" refused with %s", strerror(answer));
  if (WIFSIGNALED(status))
    printf(": %s\n", WTERMSIG(status) == SIGALRM ? "a call does not return"
                                                 : strsignal(WTERMSIG(status)));
  else
    printf(": status %d\n", WEXITSTATUS(status));
  return 1;
}

int main(int count, char **arguments) {
  const char *folder = count > 1 ? arguments[1] : "/tmp";
  const uint32_t purposes[] = {HOLDFAST_FOR_WIRING, HOLDFAST_FOR_FORKING};
  int bad = 0, processes = 0, failed = 0;
  struct holdfast_host host = {.struct_size = sizeof(host)};
  pid_t probe = fork();
  if (probe == 0)
    _exit(holdfast_host_probe(&host) == HOLDFAST_OK &&
          host.features & HOLDFAST_HOST_DEMAND_PAGING);
  int can_page;
  if (waitpid(probe, &can_page, 0) != probe || !WIFEXITED(can_page))
    stop("waitpid");
  if (!WEXITSTATUS(can_page))
    puts("skipped: demand paging, which this host or user does not have");
  for (int which = 0; which <= WEXITSTATUS(can_page); which++) {
    // Where nothing is refused, nothing fails.
    moment = -1, refusal = &refusals[0];
    if (run(folder, purposes[which], &bad) && !bad++)
      puts("a call fails where nothing is refused");
    for (moment = 0; moment < moment_count; moment++) {
      for (int call = 0; call < refusal_count; call++)
        for (const int *next = answers[moment]; *next; next++, processes++) {
          refusal = &refusals[call], limit = NULL, answer = *next;
          failed += run(folder, purposes[which], &bad);
        }
      for (int number = 0; number < limit_count; number++, processes++) {
        refusal = NULL, limit = &limits[number];
        failed += run(folder, purposes[which], &bad);
      }
    }
    refusal = &endless, limit = NULL, answer = EPERM, processes++;
    failed += run(folder, purposes[which], &bad);
  }
  if (WEXITSTATUS(can_page)) {
    refusal = &writable, answer = EPERM, processes++;
    failed += run(folder, HOLDFAST_FOR_FORKING, &bad);
  }
  refusal = &threadless, answer = EAGAIN, processes++;
  failed += run(folder, HOLDFAST_FOR_WIRING, &bad);
  printf("%d processes that the kernel refused something; a call failed in %d of them\n", processes,
         failed);
  if (bad)
    fprintf(stderr, "refuse.c: %d of them crashed, did not end or had no message\n", bad);
  return bad != 0;
}
