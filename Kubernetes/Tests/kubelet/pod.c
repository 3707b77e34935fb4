/* The one program of the pods' image. A sandbox runs it as "pause", a container as "hold" or
   "reach":

   hold TEXT          maps all memory of the pod, checks that it is zero, writes TEXT into each
                      4 KiB, and checks at SIGTERM that it is still there
   reach TEXT PATH... tries to reach other pods' memory, and then holds its own; the paths are those
                      on the node

   Each line that it prints begins with one word, for the test that reads the log. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { page = 4096, most = 16 };

static struct memory {
  char *bytes;
  size_t size;
} memories[most];
static int count;

static void fail(const char *what) {
  printf("failed %s: %s\n", what, strerror(errno));
  exit(1);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1e3 + time.tv_nsec / 1e6;
}

/* Each file has a variable with the name of its resource, also if a pod has several resources. */
static void map_all(void) {
  for (char **variable = environ; *variable != NULL && count < most; variable++) {
    if (strncmp(*variable, "HOLDFAST_READY_", 15) != 0) continue;
    const char *path = strchr(*variable, '=') + 1;
    double start = now();
    int file = open(path, O_RDWR | O_CLOEXEC);
    struct stat status;
    if (file < 0 || fstat(file, &status) != 0) fail(path);
    struct memory *memory = &memories[count++];
    memory->size = status.st_size;
    memory->bytes = mmap(NULL, memory->size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (memory->bytes == MAP_FAILED) fail("mmap");
    close(file);
    for (size_t at = 0; at < memory->size; at += sizeof(long)) {
      if (*(long *)(memory->bytes + at) != 0) {
        printf("dirty %s at %zu\n", path, at);
        exit(1);
      }
    }
    printf("zeros %s %zu inode %lu in %.2f ms\n", path, memory->size,
           (unsigned long)status.st_ino, now() - start);
  }
}

static void write_all(const char *text) {
  for (int i = 0; i < count; i++)
    for (size_t at = 0; at < memories[i].size; at += page) strcpy(memories[i].bytes + at, text);
  printf("wrote %s\n", text);
}

static int check_all(const char *text) {
  for (int i = 0; i < count; i++)
    for (size_t at = 0; at < memories[i].size; at += page)
      if (strcmp(memories[i].bytes + at, text) != 0) {
        printf("changed memory %d at %zu\n", i, at);
        return 1;
      }
  printf("kept %s\n", text);
  return 0;
}

/* An attempt has failed, as it must, or has succeeded. */
static void attempt(const char *what, int succeeded) {
  printf("%s %s%s%s\n", succeeded ? "REACHED" : "refused", what, succeeded ? "" : ": ",
         succeeded ? "" : strerror(errno));
}

static void try_paths(char **paths) {
  for (; *paths != NULL; paths++) {
    char what[4200];
    snprintf(what, sizeof what, "open %s", *paths);
    attempt(what, open(*paths, O_RDONLY | O_CLOEXEC) >= 0);
    snprintf(what, sizeof what, "connect %s", *paths);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path, *paths, sizeof address.sun_path - 1);
    int socket_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    attempt(what, connect(socket_, (struct sockaddr *)&address, sizeof address) == 0);
    close(socket_);
    /* The same by the root folders of other processes. */
    DIR *processes = opendir("/proc");
    for (struct dirent *entry; processes && (entry = readdir(processes));) {
      if (atoi(entry->d_name) == 0) continue;
      snprintf(what, sizeof what, "/proc/%.16s/root%s", entry->d_name, *paths);
      if (open(what, O_RDONLY | O_CLOEXEC) >= 0) attempt(what, 1);
    }
    if (processes) closedir(processes);
  }
}

/* The file handle of the pod's own file, and those of its neighbours. */
static void try_handles(const char *path) {
  union {
    struct file_handle handle;
    char space[sizeof(struct file_handle) + MAX_HANDLE_SZ];
  } own = {.handle = {.handle_bytes = MAX_HANDLE_SZ}};
  int mount_id;
  if (name_to_handle_at(AT_FDCWD, path, &own.handle, &mount_id, 0) != 0) {
    attempt("a file handle", 0);
    return;
  }
  int file = open(path, O_RDONLY | O_CLOEXEC);
  attempt("open a file by its handle", open_by_handle_at(file, &own.handle, O_RDWR) >= 0);
  close(file);
}

static void try_others(void) {
  int processes = 0;
  DIR *folder = opendir("/proc");
  for (struct dirent *entry; folder && (entry = readdir(folder));)
    processes += atoi(entry->d_name) != 0;
  if (folder) closedir(folder);
  printf("processes %d\n", processes);
  folder = opendir("/run/holdfast");
  for (struct dirent *entry; folder && (entry = readdir(folder));)
    if (entry->d_name[0] != '.') printf("sees %s\n", entry->d_name);
  if (folder) closedir(folder);
  attempt("open a folder of huge pages", opendir("/dev/hugepages") != NULL);
  attempt("mount a file system", mount("none", "/run", "hugetlbfs", 0, NULL) == 0);
  /* Beyond the end of the pod's own file. */
  const char *path = getenv("HOLDFAST_MEMORY_0");
  int file = open(path, O_RDWR | O_CLOEXEC);
  char bytes[page];
  struct stat status;
  if (file < 0 || fstat(file, &status) != 0) fail(path);
  attempt("read beyond the end", (errno = 0, pread(file, bytes, page, status.st_size) > 0));
  close(file);
  try_handles(path);
}

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGCHLD);
  sigprocmask(SIG_BLOCK, &signals, NULL);
  const char *text = argc > 2 ? argv[2] : "";
  int holds = argc > 2 && (strcmp(argv[1], "hold") == 0 || strcmp(argv[1], "reach") == 0);
  if (holds) {
    map_all();
    write_all(text);
    if (strcmp(argv[1], "reach") == 0) {
      try_others();
      try_paths(argv + 3);
      printf("tried everything\n");
    }
  }
  for (int number; sigwait(&signals, &number) == 0;) {
    if (number == SIGCHLD)
      while (waitpid(-1, NULL, WNOHANG) > 0) continue;
    else
      return holds ? check_all(text) : 0;
  }
  return 1;
}
