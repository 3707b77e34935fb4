/// The entry point of the program `holdfast`.
///
/// Swift's CommandLine finds the arguments by /proc, which jails and initial file systems lack, and
/// changes bytes that are not UTF-8. The kernel passes them to main.
#include <dlfcn.h>
#include <stddef.h>
#include <stdlib.h>

/// HoldfastCLI, EntryPoint.swift.
int holdfast_main(int count, char **arguments);

static int has_own_root;

/// Runs before all constructors. Swift's runtime has one that looks for the program that prints
/// backtraces, from its own file's path or from SWIFT_ROOT, and aborts if it has neither. A
/// statically linked program has no path if /proc is missing.
static void prepare_runtime(int count, char **arguments, char **environment) {
  (void)count;
  (void)arguments;
  (void)environment;
  Dl_info information;
  if (dladdr((void *)prepare_runtime, &information) != 0 || getenv("SWIFT_ROOT") != NULL)
    return;
  // Without the memory for a variable the runtime could do nothing either.
  has_own_root = setenv("SWIFT_ROOT", "/nonexistent", 0) == 0;
}

__attribute__((section(".preinit_array"), used)) static void (*const before_constructors)(
    int, char **, char **) = prepare_runtime;

int main(int count, char **arguments) {
  // The programs that this one starts get the environment of the user.
  if (has_own_root)
    unsetenv("SWIFT_ROOT");
  return holdfast_main(count, arguments);
}
