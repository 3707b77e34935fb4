// The sanitizers replace mlock(2) by a function that does nothing, and the library would find that
// the kernel has not locked what it said it had. A program's own function goes before theirs.
#define _GNU_SOURCE
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

int mlock(const void *address, size_t length) {
  return (int)syscall(SYS_mlock, address, length);
}

int munlock(const void *address, size_t length) {
  return (int)syscall(SYS_munlock, address, length);
}
