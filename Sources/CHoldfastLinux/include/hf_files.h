/// Files and folders relative to descriptors, locks and leases: calls that Glibc's Swift overlay
/// lacks or imports without their constants. All functions return 0 or a negative errno unless said
/// otherwise. None follows a symbolic link in the name that it is given.
#ifndef HF_FILES_H
#define HF_FILES_H

#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

/// What stat(2) reports about a file.
struct hf_file {
  uint64_t device;
  uint64_t inode;
  /// In bytes.
  uint64_t size;
  /// The bytes of memory or disk that the file has; less than `size` where it has holes.
  uint64_t allocated;
  /// When the inode last changed (st_ctime), in seconds since 1970.
  int64_t changed;
  /// st_mtime, in seconds.
  int64_t modified;
  /// The type and the permissions (st_mode).
  uint32_t mode;
  uint32_t owner;
  uint32_t group;
  /// The number of names.
  uint32_t links;
};

/// What statfs(2) reports about a file system.
struct hf_file_system {
  /// HF_TMPFS, HF_HUGETLBFS or another magic number.
  int64_t type;
  /// The size of a block in bytes; on hugetlbfs of a huge page.
  uint64_t block;
  /// In blocks; 0 where hugetlbfs has no limit.
  uint64_t total;
  /// In blocks.
  uint64_t free;
};

enum {
  HF_TMPFS = 0x01021994,
  HF_HUGETLBFS = 0x958458f6,
};

/// How `hf_open_at` opens a file; to be combined.
enum {
  HF_OPEN_FOLDER = 1,
  HF_OPEN_WRITE = 2,
  HF_OPEN_CREATE = 4,
};

/// AT_FDCWD: the folder that relative paths start from.
int hf_current_folder(void);

/// openat(2), close-on-exec, with O_NONBLOCK, so that it waits neither for a FIFO nor for a lease.
/// With HF_OPEN_CREATE the file must not exist, and gets mode 0600 whatever the umask. Returns a
/// descriptor or a negative errno.
int hf_open_at(int folder, const char *name, int how);

/// openat(2) with O_TMPFILE: creates a file without a name, with mode 0600. ENOSYS without /proc,
/// which `hf_link_nameless` needs. Returns a descriptor or a negative errno.
int hf_open_nameless(int folder);

/// linkat(2): gives such a file a name. EEXIST if the name is in use.
int hf_link_nameless(int fd, int folder, const char *name);

/// renameat(2): gives a file another name, in place of the file that had it.
int hf_replace_at(int folder, const char *from, const char *to);

/// lseek(2) with SEEK_HOLE or, if `hole` is zero, SEEK_DATA. The end of the file counts as a hole.
/// Returns the offset or a negative errno: ENXIO if the file has no hole or data from there on.
int64_t hf_seek(int fd, uint64_t offset, int hole);

/// pwrite(2). Returns the bytes written or a negative errno; beyond RLIMIT_FSIZE that is EFBIG, and
/// no signal is sent.
int64_t hf_write_at(int fd, const void *bytes, size_t count, uint64_t offset);

/// pread(2). Returns the bytes read, 0 at the end of the file, or a negative errno.
int64_t hf_read_at(int fd, void *bytes, size_t count, uint64_t offset);

/// open(2) of the same file for reading with O_DIRECT, by way of /proc. EINVAL if the file system
/// cannot read past the page cache. Returns a descriptor or a negative errno.
int hf_open_direct(int fd);

/// sync_file_range(2) with SYNC_FILE_RANGE_WRITE: starts to write what the page cache has of a part
/// of a file to its disk, and does not wait for the end.
int hf_start_writing(int fd, uint64_t offset, uint64_t length);

/// cachestat(2): how many bytes of a part of a file are in the page cache. Returns them or a
/// negative errno: ENOSYS before Linux 6.5, EPERM for a file that belongs to another user.
int64_t hf_cached_bytes(int fd, uint64_t offset, uint64_t length);

/// fsync(2).
int hf_synchronize(int fd);

/// fstat(2).
int hf_stat(int fd, struct hf_file *file);

/// fstatat(2).
int hf_stat_at(int folder, const char *name, struct hf_file *file);

/// fstatfs(2).
int hf_stat_file_system(int fd, struct hf_file_system *system);

/// renameat2(2) with RENAME_NOREPLACE.
int hf_rename_at(int from, const char *name, int to, const char *new_name);

/// unlinkat(2).
int hf_unlink_at(int folder, const char *name);

/// unlinkat(2) with AT_REMOVEDIR.
int hf_remove_folder_at(int folder, const char *name);

/// mkdirat(2); the folder gets the mode whatever the umask.
int hf_make_folder_at(int folder, const char *name, uint32_t mode);

/// fchown(2).
int hf_change_owner(int fd, uint32_t owner, uint32_t group);

/// fchmod(2).
int hf_change_mode(int fd, uint32_t mode);

/// futimens(2): sets the time of the last modification, in seconds.
int hf_set_modified(int fd, int64_t seconds);

/// clock_gettime(2), in seconds: CLOCK_REALTIME, or CLOCK_BOOTTIME if `since_boot` is not zero.
int64_t hf_seconds(int since_boot);

/// flock(2) with LOCK_EX. EWOULDBLOCK if another open file has the lock and `wait` is zero.
int hf_lock_file(int fd, int wait);

/// flock(2) with LOCK_UN.
int hf_unlock_file(int fd);

/// fcntl(2), F_SETLEASE with F_WRLCK: succeeds if no other open file or mapping of the file exists
/// on the host (otherwise EAGAIN) and the caller owns the file or has CAP_LEASE (otherwise EACCES).
/// A process that opens the file later waits, or fails with O_NONBLOCK; no signal is sent.
int hf_take_lease(int fd);

/// Returns 1 while the lease is intact, that is, no process has tried to open the file; else 0.
int hf_has_lease(int fd);

/// fcntl(2), F_SETLEASE with F_UNLCK.
int hf_end_lease(int fd);

/// mount(2) of a hugetlbfs with MS_NODEV, MS_NOEXEC and MS_NOSUID.
int hf_mount_hugetlbfs(const char *path, const char *options);

/// unshare(2) with CLONE_NEWNS, and private propagation. Only the calling thread, and the threads
/// and processes that it creates, see what it mounts from then on; the mounts end with the last of
/// them.
int hf_own_mounts(void);

/// umount2(2) with MNT_DETACH.
int hf_unmount(const char *path);

#pragma clang assume_nonnull end

#endif
