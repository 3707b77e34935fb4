/// Files and folders relative to descriptors, locks and leases: calls that Glibc's Swift overlay lacks or
/// imports without their constants. All return 0 or a negative errno unless said otherwise; none follows
/// a symbolic link in the name that it is given.
#ifndef HF_FILES_H
#define HF_FILES_H

#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

/// What stat(2) tells of a file.
struct hf_file {
  uint64_t device;
  uint64_t inode;
  uint64_t size;
  /// Bytes of memory that it has.
  uint64_t allocated;
  /// When it was last renamed, cut or given other owners, in seconds since 1970.
  int64_t changed;
  /// The type and the permissions.
  uint32_t mode;
  uint32_t owner;
  uint32_t group;
  uint32_t links;
};

/// What statfs(2) tells of a file system.
struct hf_file_system {
  int64_t type;
  /// On hugetlbfs the huge page.
  uint64_t block;
  /// In blocks; 0 where hugetlbfs has no limit.
  uint64_t total;
  uint64_t free;
};

enum {
  HF_TMPFS = 0x01021994,
  HF_HUGETLBFS = 0x958458f6,
};

enum {
  HF_OPEN_FOLDER = 1,
  HF_OPEN_WRITE = 2,
  HF_OPEN_CREATE = 4,
};

/// The folder that relative names start from at the beginning: AT_FDCWD.
int hf_current_folder(void);

/// openat(2), close-on-exec, O_NONBLOCK so that neither FIFOs nor leases of files hold it up. With
/// HF_OPEN_CREATE the file must not exist yet and is its owner's alone. Returns a descriptor.
int hf_open_at(int folder, const char *name, int how);

/// openat(2) with O_TMPFILE: a file for its owner that has no name. ENOSYS where /proc, by which it would be
/// given one, is not there. Returns a descriptor.
int hf_open_nameless(int folder);

/// linkat(2) of such a file to a name that nothing has.
int hf_link_nameless(int fd, int folder, const char *name);

/// renameat(2), in place of what has the new name.
int hf_replace_at(int folder, const char *from, const char *to);

/// lseek(2) to the next byte from an offset on that is in a hole, or that is not, which the file's end
/// counts as. Returns where that is, or a negative errno: ENXIO where there is none.
int64_t hf_seek(int fd, uint64_t offset, int hole);

/// fsync(2).
int hf_synchronize(int fd);

int hf_stat(int fd, struct hf_file *file);
int hf_stat_at(int folder, const char *name, struct hf_file *file);
int hf_stat_file_system(int fd, struct hf_file_system *system);

/// renameat2(2) with RENAME_NOREPLACE.
int hf_rename_at(int from, const char *name, int to, const char *new_name);
int hf_unlink_at(int folder, const char *name);
int hf_make_folder_at(int folder, const char *name, uint32_t mode);
int hf_change_owner(int fd, uint32_t owner, uint32_t group);
int hf_change_mode(int fd, uint32_t mode);

/// flock(2) with LOCK_EX; EWOULDBLOCK where somebody has it and `wait` is 0.
int hf_lock_file(int fd, int wait);

/// flock(2) with LOCK_UN.
int hf_unlock_file(int fd);

/// fcntl(2) with F_SETLEASE and F_WRLCK: succeeds where no other open file or mapping of the file exists
/// in the system (EAGAIN) and the caller owns it or has CAP_LEASE (EACCES). Whoever opens it from then on
/// waits, or fails if he would not wait; nobody is sent a signal.
int hf_take_lease(int fd);

/// 1 while the lease is whole: nobody has tried to open the file. Else 0.
int hf_has_lease(int fd);

/// F_UNLCK.
int hf_end_lease(int fd);

/// mount(2) of a hugetlbfs, without devices, programs and set-user-id.
int hf_mount_hugetlbfs(const char *path, const char *options);

/// unshare(2) with CLONE_NEWNS: what the calling thread, and threads and processes that it makes, mount from
/// now on nobody else sees, and goes with the last of them.
int hf_own_mounts(void);

/// umount2(2) with MNT_DETACH.
int hf_unmount(const char *path);

#pragma clang assume_nonnull end

#endif
