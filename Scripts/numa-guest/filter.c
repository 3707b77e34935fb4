// Runs a program without some system calls, as a container's filter does: they fail with EPERM.
//
//     filter CALL... -- PROGRAM [ARGUMENT...]

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct {
  const char *name;
  unsigned number;
} calls[] = {
    {"mbind", SYS_mbind},
    {"move_pages", SYS_move_pages},
    {"sched_setaffinity", SYS_sched_setaffinity},
};

static int forbid(const char *name) {
  for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
    if (strcmp(calls[i].name, name) != 0)
      continue;
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[i].number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {.len = sizeof code / sizeof code[0], .filter = code};
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
  }
  errno = EINVAL;
  return -1;
}

int main(int count, char **words) {
  int next = 1;
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
    return perror("filter: no_new_privs"), 125;
  for (; next < count && strcmp(words[next], "--") != 0; next++) {
    if (forbid(words[next]) < 0)
      return perror(words[next]), 125;
  }
  if (next + 1 >= count)
    return fprintf(stderr, "usage: filter CALL... -- PROGRAM\n"), 125;
  execvp(words[next + 1], words + next + 1);
  return perror(words[next + 1]), 125;
}
