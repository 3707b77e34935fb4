/// What the kernel can do without Holdfast, in C: the floors and alternatives that benchmarks
/// compare with. A function that returns `double` does one run and returns its seconds, or a
/// negative errno. The time excludes reserving and unmapping addresses.
#ifndef CHOLDFASTBENCH_H
#define CHOLDFASTBENCH_H

#include <stddef.h>
#include <stdint.h>

/// mmap(2) of a file that is resident, and MADV_POPULATE_WRITE.
double hf_bench_remap(int fd, size_t length);

/// mmap(2) of a file of hugetlb pages that is resident and mapped elsewhere, and one read a GiB,
/// after which the kernel shares the other mapping's page tables; MADV_POPULATE_WRITE of what is
/// less than a GiB. EOPNOTSUPP if the kernel does not share.
double hf_bench_touch(int fd, size_t length);

/// munmap(2) of such a mapping, all of whose pages are in the page tables.
double hf_bench_munmap(int fd, size_t length);

/// mmap(2) of such a file, registered for minor faults, and one UFFDIO_CONTINUE for each page of
/// `page` bytes, or for all if that is `length`. `hugetlb` is not zero if the file is of hugetlb
/// pages.
double hf_bench_continue(int fd, size_t length, size_t page, int hugetlb);

/// The memory of `hf_bench_populate`.
enum {
  /// A memfd of hugetlb or base pages.
  HF_BENCH_PLAIN,
  /// A memfd with MADV_HUGEPAGE.
  HF_BENCH_SHARED_HUGE,
  /// Private memory with MADV_HUGEPAGE.
  HF_BENCH_PRIVATE,
};

/// New memory, populated by MADV_POPULATE_WRITE on `threads` threads. A memfd has hugetlb pages of
/// 2^huge_shift bytes if that is not 0.
double hf_bench_populate(size_t length, unsigned huge_shift, int kind, int threads);

/// New private memory, populated by mmap(2) with MAP_POPULATE, of base pages or, if `huge` is not
/// zero, of hugetlb pages of 2 MiB. ENOMEM where not all of it is.
double hf_bench_map_populate(size_t length, int huge);

/// fork(2) of this process with so much more private memory, all of it resident, of base pages or, if
/// `huge` is not zero, of transparent huge pages. The child ends at once.
double hf_bench_fork(size_t length, int huge);

/// memset(3) to `byte` of memory at an address of this process, on `threads` threads, like a guest
/// that writes to all of its memory.
double hf_bench_fill(uint64_t address, size_t length, int byte, int threads);

/// memcpy(3) of memory of this process, on `threads` threads. Returns the seconds or a negative
/// errno.
double hf_bench_copy(uint64_t from, uint64_t to, size_t length, int threads);

/// Returns whether all memory of a range of this process is zero.
int hf_bench_is_zero(uint64_t address, size_t length);

/// New private memory, populated by mlock(2) on `threads` threads with a share each, of base pages
/// or, if `huge` is not zero, of transparent huge pages where the host has them.
double hf_bench_mlock(size_t length, int huge, int threads);

/// Fills memory with words that differ and are not zero.
void hf_bench_pattern(uint64_t address, size_t length, uint64_t seed);

/// Writes memory to a new file as dd(1) does with bs=1M and conv=fsync, by one thread and with the
/// flush; if `past_cache` is not zero and the file system can, past the page cache (oflag=direct).
double hf_bench_write(int fd, uint64_t address, size_t length, int past_cache);

/// Reads a file into one buffer as dd(1) does with bs=1M and iflag=direct.
double hf_bench_read(int fd, size_t length);

/// Drops what the page cache has of a file and the disk has too. Returns 0 or a negative errno.
int hf_bench_uncache(int fd);

/// The median of the seconds of one pread(2) for each piece of a file, to memory of its own.
double hf_bench_pread(int fd, uint64_t address, size_t length, size_t piece);

/// The median of the seconds of an access to the first byte of each piece of memory, made by the
/// kernel, so that memory that cannot be had is an error.
double hf_bench_faults(uint64_t address, size_t length, size_t piece);

/// A guest of KVM writes to 112 absent pages of 4 KiB. A thread that waits for the faults in poll(2)
/// enters each by UFFDIO_CONTINUE or, if `is_self` is not zero, the thread that runs the guest; then
/// EOPNOTSUPP where KVM does not report them. Returns the seconds for each page.
double hf_bench_guest_faults(int is_self);

/// Runs a program, which is searched for in PATH as by the shell, with all signals unblocked, and
/// waits for its end. The program reads `input`, which has to fit into a pipe. Its output is stored
/// in `output`, at most `room` bytes with the zero byte at the end. A descriptor `keep` that is not
/// negative stays open in the program. `faults` gets the program's minor page faults. Returns the
/// program's status, 128 plus the number of the signal that ended it, or a negative errno.
int hf_bench_run(char *const *words, const char *input, int keep, char *output, size_t room,
                 int64_t *faults);

/// Runs a program up to its first output, for which it waits in vain, and ends it. Returns the bytes
/// that it had resident at most, or a negative errno. What wait4(2) tells contains the memory of the
/// process that started the program.
int64_t hf_bench_peak(char *const *words);

/// Starts a program, which is searched for in PATH as by the shell, in a process group of its own
/// and with all signals unblocked. It reads nothing. `output` gets a descriptor from which what it
/// writes is read, and `errors` one of a file with its messages; the caller closes both. The program
/// gets SIGTERM if the calling thread ends before it. Returns its process, or a negative errno.
int hf_bench_start(char *const *words, int *output, int *errors);

/// read(2) within a time. Returns the number of bytes, 0 at the end, -EAGAIN where nothing came, or
/// another negative errno.
int64_t hf_bench_next_output(int file, void *bytes, size_t room, int milliseconds);

/// Reaps a process that `hf_bench_start` has started, if it has ended, and kills what is left of its
/// process group. Returns its status, 128 plus the number of the signal that ended it, -EAGAIN while it
/// runs, or another negative errno.
int hf_bench_ended(int process);

/// The processor time in seconds that this process took, and that of the processes that it waited for.
double hf_bench_processor_seconds(void);

/// mmap(2) of a file that is resident, as a monitor maps its guest's memory, and a read of each of
/// its pages of `page` bytes, one after the other. `faults` gets the page faults of that.
double hf_bench_touch_pages(int fd, size_t length, size_t page, int64_t *faults);

/// Creates a memfd whose pages are all resident, of hugetlb pages of 2 MiB if `hugetlb` is not zero.
/// Returns a descriptor or a negative errno.
int hf_bench_resident_file(size_t length, int hugetlb);

/// Reserves `length` bytes of addresses and writes to each page of `page` bytes in order. A thread
/// serves the page faults with the pages of the resident file `fd`, in the order of the accesses
/// (poll, read, mmap with MAP_FIXED, MADV_POPULATE_WRITE, UFFDIO_WAKE).
///
/// Stores what the access to each page took in `seconds`. Returns 0 or a negative errno.
int hf_bench_handler_faults(int fd, size_t length, size_t page, double *seconds);

/// Writes to each page of `page` bytes from `address` on, in order, and stores what each access took
/// in `seconds`.
void hf_bench_touch_each(uint64_t address, size_t length, size_t page, double *seconds);

#endif
