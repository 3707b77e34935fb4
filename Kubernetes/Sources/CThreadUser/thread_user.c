#include "thread_user.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

int hf_become_thread_user(unsigned int user, unsigned int group) {
  /* The group first: the user may not change it any more. */
  if (syscall(SYS_setgroups, 0L, (void *)0) != 0) return errno;
  if (syscall(SYS_setresgid, -1L, (long)group, -1L) != 0) return errno;
  if (syscall(SYS_setresuid, -1L, (long)user, -1L) != 0) return errno;
  return 0;
}
