#include "hf_files.h"

#include "hf_size_limit.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

/// cachestat(2), Linux 6.5; the number is the same on all architectures that Swift has.
#define HF_SYS_CACHESTAT 451

static int status(int result) { return result < 0 ? -errno : 0; }

int hf_current_folder(void) { return AT_FDCWD; }

int hf_open_at(int folder, const char *name, int how) {
  int flags = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
  if (how & HF_OPEN_FOLDER)
    flags |= O_DIRECTORY;
  flags |= how & HF_OPEN_WRITE ? O_RDWR : O_RDONLY;
  if (how & HF_OPEN_CREATE)
    flags |= O_CREAT | O_EXCL;
  int fd;
  do {
    fd = openat(folder, name, flags, 0600);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0)
    return -errno;
  // The umask has taken permissions away from a new file.
  if (how & HF_OPEN_CREATE && fchmod(fd, 0600) < 0) {
    int error = errno;
    close(fd);
    unlinkat(folder, name, 0);
    return -error;
  }
  return fd;
}

static void own_path(int fd, char path[32]) { snprintf(path, 32, "/proc/self/fd/%d", fd); }

int hf_open_nameless(int folder) {
  int fd;
  do {
    fd = openat(folder, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0)
    return -errno;
  char path[32];
  own_path(fd, path);
  if (access(path, F_OK) < 0) {
    close(fd);
    return -ENOSYS;
  }
  return fd;
}

int hf_link_nameless(int fd, int folder, const char *name) {
  char path[32];
  own_path(fd, path);
  return status(linkat(AT_FDCWD, path, folder, name, AT_SYMLINK_FOLLOW));
}

int hf_replace_at(int folder, const char *from, const char *to) {
  return status(renameat(folder, from, folder, to));
}

int64_t hf_seek(int fd, uint64_t offset, int hole) {
  off_t found = lseek(fd, (off_t)offset, hole ? SEEK_HOLE : SEEK_DATA);
  return found < 0 ? -errno : found;
}

int64_t hf_write_at(int fd, const void *bytes, size_t count, uint64_t offset) {
  hf_size_limit limit;
  ssize_t written;
  errno = 0;
  hf_block_size_signal(&limit);
  do {
    written = pwrite(fd, bytes, count, (off_t)offset);
  } while (written < 0 && errno == EINTR);
  hf_unblock_size_signal(&limit);
  return written < 0 ? -errno : written;
}

int64_t hf_read_at(int fd, void *bytes, size_t count, uint64_t offset) {
  ssize_t read;
  do {
    read = pread(fd, bytes, count, (off_t)offset);
  } while (read < 0 && errno == EINTR);
  return read < 0 ? -errno : read;
}

int hf_open_direct(int fd) {
  char path[32];
  own_path(fd, path);
  int direct;
  do {
    direct = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC | O_NONBLOCK);
  } while (direct < 0 && errno == EINTR);
  return direct < 0 ? -errno : direct;
}

int hf_start_writing(int fd, uint64_t offset, uint64_t length) {
  return status(sync_file_range(fd, (off_t)offset, (off_t)length, SYNC_FILE_RANGE_WRITE));
}

int64_t hf_cached_bytes(int fd, uint64_t offset, uint64_t length) {
  // The C library of most hosts has no function for cachestat(2) yet.
  struct {
    uint64_t offset;
    uint64_t length;
  } range = {offset, length};
  struct {
    uint64_t cached;
    uint64_t others[4];
  } pages;
  if (syscall(HF_SYS_CACHESTAT, fd, &range, &pages, 0) < 0)
    return -errno;
  return (int64_t)(pages.cached * (uint64_t)sysconf(_SC_PAGESIZE));
}

int hf_synchronize(int fd) { return status(fsync(fd)); }

static void copy(const struct stat *from, struct hf_file *file) {
  file->device = from->st_dev;
  file->inode = from->st_ino;
  file->size = (uint64_t)from->st_size;
  file->allocated = (uint64_t)from->st_blocks * 512;
  file->changed = from->st_ctim.tv_sec;
  file->modified = from->st_mtim.tv_sec;
  file->mode = from->st_mode;
  file->owner = from->st_uid;
  file->group = from->st_gid;
  file->links = (uint32_t)from->st_nlink;
}

int hf_stat(int fd, struct hf_file *file) {
  struct stat found;
  if (fstat(fd, &found) < 0)
    return -errno;
  copy(&found, file);
  return 0;
}

int hf_stat_at(int folder, const char *name, struct hf_file *file) {
  struct stat found;
  if (fstatat(folder, name, &found, AT_SYMLINK_NOFOLLOW) < 0)
    return -errno;
  copy(&found, file);
  return 0;
}

int hf_stat_file_system(int fd, struct hf_file_system *system) {
  struct statfs found;
  if (fstatfs(fd, &found) < 0)
    return -errno;
  // The magic number has 32 bits; f_type is signed on some architectures.
  system->type = (int64_t)(uint32_t)found.f_type;
  system->block = (uint64_t)found.f_bsize;
  // hugetlbfs without a limit reports 0 or -1 blocks.
  int64_t total = (int64_t)found.f_blocks;
  system->total = total > 0 ? (uint64_t)total : 0;
  system->free = total > 0 ? (uint64_t)found.f_bavail : 0;
  return 0;
}

int hf_rename_at(int from, const char *name, int to, const char *new_name) {
  return status(renameat2(from, name, to, new_name, RENAME_NOREPLACE));
}

int hf_unlink_at(int folder, const char *name) { return status(unlinkat(folder, name, 0)); }

int hf_remove_folder_at(int folder, const char *name) {
  return status(unlinkat(folder, name, AT_REMOVEDIR));
}

// Not by a descriptor: without permissions its owner cannot open the folder.
static int set_mode_at(int folder, const char *name, mode_t mode) {
  struct stat made;
  if (fstatat(folder, name, &made, AT_SYMLINK_NOFOLLOW) < 0)
    return -1;
  if ((made.st_mode & 0777) == mode)
    return 0;
  if (fchmodat(folder, name, mode, AT_SYMLINK_NOFOLLOW) == 0)
    return 0;
  // glibc needs /proc not to follow links. A link cannot be here unless another user may write to
  // the parent, which is no place for a reservoir.
  return errno == EOPNOTSUPP && S_ISDIR(made.st_mode) ? fchmodat(folder, name, mode, 0) : -1;
}

int hf_make_folder_at(int folder, const char *name, uint32_t mode) {
  if (mkdirat(folder, name, (mode_t)mode) < 0)
    return -errno;
  if (set_mode_at(folder, name, (mode_t)mode) == 0)
    return 0;
  int error = errno;
  unlinkat(folder, name, AT_REMOVEDIR);
  return -error;
}

int hf_change_owner(int fd, uint32_t owner, uint32_t group) {
  return status(fchown(fd, (uid_t)owner, (gid_t)group));
}

int hf_change_mode(int fd, uint32_t mode) { return status(fchmod(fd, (mode_t)mode)); }

int hf_set_modified(int fd, int64_t seconds) {
  struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = (time_t)seconds}};
  return status(futimens(fd, times));
}

int64_t hf_seconds(int since_boot) {
  struct timespec now = {0};
  // It fails only for unknown clocks.
  clock_gettime(since_boot ? CLOCK_BOOTTIME : CLOCK_REALTIME, &now);
  return now.tv_sec;
}

int hf_lock_file(int fd, int wait) {
  int result;
  do {
    result = flock(fd, wait ? LOCK_EX : LOCK_EX | LOCK_NB);
  } while (result < 0 && errno == EINTR);
  return status(result);
}

int hf_unlock_file(int fd) { return status(flock(fd, LOCK_UN)); }

int hf_take_lease(int fd) {
  // The kernel signals the lease holder when another process opens the file. The default, SIGIO,
  // would end this process: ask for a signal that is ignored by default, then for no recipient.
  if (fcntl(fd, F_SETSIG, SIGURG) < 0 || fcntl(fd, F_SETLEASE, F_WRLCK) < 0)
    return -errno;
  (void)fcntl(fd, F_SETOWN, 0);
  return 0;
}

int hf_has_lease(int fd) { return fcntl(fd, F_GETLEASE) == F_WRLCK; }

int hf_end_lease(int fd) { return status(fcntl(fd, F_SETLEASE, F_UNLCK)); }

int hf_mount_hugetlbfs(const char *path, const char *options) {
  return status(
      mount("hugetlbfs", path, "hugetlbfs", MS_NODEV | MS_NOEXEC | MS_NOSUID, options));
}

int hf_own_mounts(void) {
  if (unshare(CLONE_NEWNS) < 0)
    return -errno;
  return status(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
}

int hf_unmount(const char *path) { return status(umount2(path, MNT_DETACH)); }
