/// What the kernel can do without Holdfast, in C: the floors and rivals that benchmarks compare
/// with. Each does one run and returns its seconds, or a negative errno. Setting up addresses and
/// taking them down again is not timed.
#ifndef CHOLDFASTBENCH_H
#define CHOLDFASTBENCH_H

#include <stddef.h>
#include <stdint.h>

/// mmap(2) of a file that is in memory already and MADV_POPULATE_WRITE.
double hf_bench_remap(int fd, size_t length);

/// memset(3) of a file that is in memory already, mapped and brought in before, on `threads` threads
/// with a share each.
double hf_bench_memset(int fd, size_t length, int threads);

/// mmap(2) of such a file, registered for minor faults, and one UFFDIO_CONTINUE for each page of
/// `page` bytes. `hugetlb` tells what the file is of.
double hf_bench_continue(int fd, size_t length, size_t page, int hugetlb);

/// Fresh memory, brought in by MADV_POPULATE_WRITE on `threads` threads: a memfd of hugetlb pages of
/// 2^huge_shift bytes, or of shared memory where that is 0, with MADV_HUGEPAGE if `advise` is set.
double hf_bench_populate(size_t length, unsigned huge_shift, int advise, int threads);

/// memset(3) to `byte` of memory at an address of this process, on `threads` threads: what a guest does
/// that writes to all of its memory.
double hf_bench_fill(uint64_t address, size_t length, int byte, int threads);

/// Whether memory at an address of this process is zero throughout.
int hf_bench_is_zero(uint64_t address, size_t length);

/// Fresh anonymous memory of base pages, brought in by mlock(2).
double hf_bench_mlock(size_t length);

/// Runs a program, looked for as the shell does, to its end, with all signals unblocked. It reads `input`,
/// which fits into a pipe; what it writes is put into `output` up to `room` bytes with a zero byte at the
/// end. A descriptor `keep` that is not negative stays open in it. Returns its status, 128 and the signal's
/// number where one ended it, or a negative errno.
int hf_bench_run(char *const *words, const char *input, int keep, char *output, size_t room);

#endif
