// System calls that a filter refuses for the rest of a process. Needs _GNU_SOURCE.
#pragma once
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

// A system call. With a mask, only where an argument has one of its bits: memory of malloc(3) and
// of threads stays, without which no program in Swift runs. munmap(2) is not one: glibc aborts if
// it refuses to remove a thread's stack.
struct refusal {
  const char *name;
  long number;
  unsigned argument;
  uint32_t mask;
  // Another one, which is refused too.
  const struct refusal *also;
};
// Where the argument is 0.
#define ZERO UINT32_MAX
// Added to the argument's number: where it is the mask.
#define EXACTLY 8u
#define CALL(name) {#name, SYS_##name, 0, 0, NULL}

static void stop(const char *what) {
  perror(what);
  _exit(2);
}

static void install(const struct refusal *refusal, int answer) {
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)refusal->number, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
               offsetof(struct seccomp_data, args) + 8 * (refusal->argument % EXACTLY)),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, refusal->mask, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)answer),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  if (!refusal->mask)
    code[3] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)answer);
  if (refusal->mask == ZERO)
    code[3] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1);
  if (refusal->argument >= EXACTLY)
    code[3].code = BPF_JMP | BPF_JEQ | BPF_K;
  struct sock_fprog program = {sizeof(code) / sizeof(*code), code};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) != 0)
    stop("seccomp");
  if (refusal->also)
    install(refusal->also, answer);
}
