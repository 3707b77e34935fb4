// A template and its fork: a guest whose pages come on demand fills 64 of them; then the guest and
// its fork go on with the same program and each changes all of them, unseen by the other.
//
//   cc fork.c $(pkg-config --cflags --libs holdfast) -o fork && ./fork
//
// Ends with status 0, with 1 and a message if something failed, and with 77 where KVM or demand
// paging cannot be used. monitor.c has the same without faults, at greater length.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <holdfast.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { page_size = 4096, pages = 64 };
static const uint64_t memory_size = (uint64_t)16 << 20;
static const uint64_t code_address = 0x1000;
static const uint64_t pattern_address = 0x100000;

// Fills the pages and halts. What follows is for both sides, which have different numbers in ebx.
static const uint8_t code[] = {
    0xBF, 0x00, 0x00, 0x10, 0x00,        // mov edi, 0x100000   the first page
    0xB9, 0x40, 0x00, 0x00, 0x00,        // mov ecx, 64         the pages to fill
    0x89, 0x3F,                          // fill: mov [edi], edi
    0x81, 0xC7, 0x00, 0x10, 0x00, 0x00,  // add edi, 4096
    0x49,                                // dec ecx
    0x75, 0xF5,                          // jnz fill
    0xF4,                                // hlt
    0xBF, 0x00, 0x00, 0x10, 0x00,        // mov edi, 0x100000
    0xB9, 0x40, 0x00, 0x00, 0x00,        // mov ecx, 64
    0x01, 0x1F,                          // change: add [edi], ebx
    0x81, 0xC7, 0x00, 0x10, 0x00, 0x00,  // add edi, 4096
    0x49,                                // dec ecx
    0x75, 0xF5,                          // jnz change
    0xF4,                                // hlt
};

// A virtual machine and its memory; descriptors are -1 and handles 0 before they are made.
struct machine {
  holdfast_guest guest;
  int vm, processor;
  struct kvm_run *run;
  size_t run_size;
};

// True if a call of the library succeeded. Its message says why not, and often what to do.
static bool is_ok(holdfast_status status) {
  if (status == HOLDFAST_OK)
    return true;
  fprintf(stderr, "fork: %s\n", holdfast_error_message());
  return false;
}

// False, after a message with the error of a system call.
static bool system_failed(const char *what) {
  fprintf(stderr, "fork: %s: %s\n", what, strerror(errno));
  return false;
}

static bool check_failed(const char *what) {
  fprintf(stderr, "fork: %s\n", what);
  return false;
}

// Makes the template's memory. Its pages are absent until the guest or the monitor accesses them.
static bool make_template(holdfast_arena arena, holdfast_guest *guest) {
  struct holdfast_guest_options options = {
      .struct_size = sizeof(options), .limit = memory_size, .demand_paging = 1};
  if (!is_ok(holdfast_guest_create(arena, &options, guest)))
    return false;
  holdfast_segment ram;
  if (!is_ok(holdfast_segment_create(*guest, "ram", memory_size, &ram)))
    return false;
  const uint32_t protection = HOLDFAST_READ | HOLDFAST_WRITE | HOLDFAST_EXECUTE;
  holdfast_receipt receipt = {0};
  bool succeeded =
      is_ok(holdfast_map(*guest, ram, 0, 0, memory_size, protection, 0, &receipt)) &&
      is_ok(holdfast_guest_write(*guest, code_address, code, sizeof(code)));
  char *json = NULL;
  if (succeeded && (succeeded = is_ok(holdfast_receipt_json(receipt, &json))))
    puts(json);
  holdfast_text_free(json);
  if (receipt.id)
    holdfast_receipt_close(receipt);
  // The mapping keeps what it maps.
  holdfast_segment_close(ram);
  return succeeded;
}

// Protected mode without paging: segments of 4 GiB from address 0.
static bool set_start(int processor) {
  struct kvm_sregs special;
  if (ioctl(processor, KVM_GET_SREGS, &special) < 0)
    return system_failed("KVM_GET_SREGS");
  special.cr0 = 0x11;  // ET, PE
  const struct kvm_segment code_segment = {
      .limit = UINT32_MAX, .selector = 8, .type = 11, .present = 1, .s = 1, .db = 1, .g = 1};
  struct kvm_segment data_segment = code_segment;
  data_segment.selector = 16;
  data_segment.type = 3;
  special.cs = code_segment;
  special.ds = special.es = special.ss = data_segment;
  if (ioctl(processor, KVM_SET_SREGS, &special) < 0)
    return system_failed("KVM_SET_SREGS");
  struct kvm_regs registers = {.rip = code_address, .rflags = 2};
  if (ioctl(processor, KVM_SET_REGS, &registers) < 0)
    return system_failed("KVM_SET_REGS");
  return true;
}

// Gives a guest's memory a machine with one processor.
static bool make_machine(int kvm, struct machine *machine) {
  struct holdfast_guest_info info = {.struct_size = sizeof(info)};
  if (!is_ok(holdfast_guest_info(machine->guest, &info)))
    return false;
  machine->vm = ioctl(kvm, KVM_CREATE_VM, 0);
  if (machine->vm < 0)
    return system_failed("KVM_CREATE_VM");
  struct kvm_userspace_memory_region slot = {
      .slot = 0, .memory_size = info.limit, .userspace_addr = info.host_address};
  if (ioctl(machine->vm, KVM_SET_USER_MEMORY_REGION, &slot) < 0)
    return system_failed("KVM_SET_USER_MEMORY_REGION");
  machine->processor = ioctl(machine->vm, KVM_CREATE_VCPU, 0);
  if (machine->processor < 0)
    return system_failed("KVM_CREATE_VCPU");
  int size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
  if (size < 0)
    return system_failed("KVM_GET_VCPU_MMAP_SIZE");
  void *run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, machine->processor, 0);
  if (run == MAP_FAILED)
    return system_failed("mapping the processor's state");
  machine->run = run;
  machine->run_size = (size_t)size;
  return set_start(machine->processor);
}

// Ends the processor before the memory that it accesses.
static void end_machine(struct machine *machine) {
  if (machine->run)
    munmap(machine->run, machine->run_size);
  if (machine->processor >= 0)
    close(machine->processor);
  if (machine->vm >= 0)
    close(machine->vm);
  if (machine->guest.id)
    holdfast_guest_close(machine->guest);
}

static bool run_until_halt(const struct machine *machine) {
  while (ioctl(machine->processor, KVM_RUN, 0) < 0)
    if (errno != EINTR)
      return system_failed("KVM_RUN");
  if (machine->run->exit_reason == KVM_EXIT_HLT)
    return true;
  fprintf(stderr, "fork: a guest stopped for reason %" PRIu32 "\n", machine->run->exit_reason);
  return false;
}

// Copies a processor's registers: where the template's stands, the fork's goes on.
static bool copy_registers(const struct machine *from, const struct machine *to, uint64_t rbx) {
  struct kvm_regs registers;
  if (ioctl(from->processor, KVM_GET_REGS, &registers) < 0)
    return system_failed("KVM_GET_REGS");
  registers.rbx = rbx;
  if (ioctl(to->processor, KVM_SET_REGS, &registers) < 0)
    return system_failed("KVM_SET_REGS");
  return true;
}

// Each page has its address and the side's number. The pages that were never touched read as zeros
// and stay absent.
static bool check_memory(holdfast_guest guest, uint32_t number, const char *side) {
  for (uint64_t page = 0; page < pages; page++) {
    const uint64_t address = pattern_address + page * page_size;
    uint32_t word;
    if (!is_ok(holdfast_guest_read(guest, address, &word, sizeof(word))))
      return false;
    if (word != (uint32_t)address + number)
      return check_failed("a page has other bytes than its guest wrote");
  }
  uint32_t word = 1;
  if (!is_ok(holdfast_guest_read(guest, memory_size - 4, &word, sizeof(word))))
    return false;
  struct holdfast_residency residency = {.struct_size = sizeof(residency)};
  struct holdfast_guest_info info = {.struct_size = sizeof(info)};
  if (!is_ok(holdfast_residency(guest, 0, memory_size, &residency)) ||
      !is_ok(holdfast_guest_info(guest, &info)))
    return false;
  printf("%s: %" PRIu64 " KiB resident, %" PRIu64 " KiB shared, %" PRIu64 " faults served\n", side,
         residency.resident >> 10, residency.shared >> 10, info.faults);
  return word == 0 || check_failed("an absent page is not zero");
}

static bool run_both(int kvm, holdfast_arena arena, struct machine *template,
                     struct machine *child) {
  if (!make_template(arena, &template->guest) || !make_machine(kvm, template) ||
      !run_until_halt(template) || !check_memory(template->guest, 0, "the template"))
    return false;
  struct holdfast_fork_info info = {.struct_size = sizeof(info)};
  if (!is_ok(holdfast_guest_fork(template->guest, &child->guest, &info)))
    return false;
  printf("forked in %" PRIu64 " us: %" PRIu64 " KiB resident, of which %" PRIu64
         " KiB shared and %" PRIu64 " KiB copied\n",
         info.nanoseconds / 1000, info.resident >> 10, info.shared >> 10, info.copied >> 10);
  return make_machine(kvm, child) && copy_registers(template, child, 2) &&
         copy_registers(template, template, 1) && run_until_halt(child) &&
         run_until_halt(template) && check_memory(template->guest, 1, "the template") &&
         check_memory(child->guest, 2, "its fork");
}

int main(void) {
  struct holdfast_host host = {.struct_size = sizeof(host)};
  if (!is_ok(holdfast_host_probe(&host)))
    return 1;
  if (!(host.features & HOLDFAST_HOST_DEMAND_PAGING)) {
    puts("fork: skipped: page faults cannot be served here");
    return 77;
  }
  int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
  if (kvm < 0) {
    printf("fork: skipped: /dev/kvm cannot be opened: %s\n", strerror(errno));
    return 77;
  }
  struct holdfast_arena_options options = {
      .struct_size = sizeof(options), .size = 4 * memory_size, .purpose = HOLDFAST_FOR_FORKING};
  holdfast_arena arena;
  if (!is_ok(holdfast_arena_create(&options, &arena))) {
    close(kvm);
    return 1;
  }
  struct machine template = {.vm = -1, .processor = -1}, child = {.vm = -1, .processor = -1};
  const bool succeeded = run_both(kvm, arena, &template, &child);
  end_machine(&child);
  end_machine(&template);
  holdfast_arena_close(arena);
  close(kvm);
  return succeeded ? 0 : 1;
}
