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
#include "fuzz_objects.h"

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

static int open_descriptors(int prints) {
  int count = 0;
  DIR *list = opendir("/proc/self/fd");
  if (!list)
    fail("/proc/self/fd cannot be read");
  for (struct dirent *entry; (entry = readdir(list));) {
    char target[256] = "";
    ssize_t length = readlinkat(dirfd(list), entry->d_name, target, sizeof(target) - 1);
    count += length > 0 && atoi(entry->d_name) != dirfd(list);
    if (prints && length > 0)
      fprintf(stderr, "  %s -> %s\n", entry->d_name, target);
  }
  closedir(list);
  return count;
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
