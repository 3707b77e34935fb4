// A whole monitor: 64 MiB of wired memory and one processor in 32-bit protected mode. The guest
// writes to 256 of its pages, reports at a port how many, and halts; the monitor checks each byte.
//
//   cc monitor.c $(pkg-config --cflags --libs holdfast) -o monitor && ./monitor
//
// Ends with status 0, with 1 and a message if something failed, and with 77 where KVM cannot be
// used.
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

enum { page_size = 4096, pages = 256, port = 0x10 };
static const uint64_t memory_size = (uint64_t)64 << 20;
static const uint64_t code_address = 0x1000;
static const uint64_t pattern_address = 0x100000;

static const uint8_t code[] = {
    0xBF, 0x00, 0x00, 0x10, 0x00,        // mov edi, 0x100000   the first page
    0xB9, 0x00, 0x01, 0x00, 0x00,        // mov ecx, 256        the pages to write
    0x31, 0xC0,                          // xor eax, eax
    0x89, 0x3F,                          // next: mov [edi], edi
    0x81, 0xC7, 0x00, 0x10, 0x00, 0x00,  // add edi, 4096
    0x40,                                // inc eax
    0x49,                                // dec ecx
    0x75, 0xF4,                          // jnz next
    0xE7, 0x10,                          // out 0x10, eax       the pages that were written
    0xF4,                                // hlt
};

// A guest's memory, of which handles are 0 before they are made.
struct memory {
  holdfast_arena arena;
  holdfast_guest guest;
  holdfast_segment ram;
  holdfast_receipt receipt;
  uint8_t *bytes;
};

// A virtual machine, whose descriptors are -1 before they are opened.
struct machine {
  int kvm, vm, processor;
  struct kvm_run *run;
  size_t run_size;
};

// True if a call of the library succeeded. Its message says why not, and often what to do.
static bool is_ok(holdfast_status status) {
  if (status == HOLDFAST_OK)
    return true;
  fprintf(stderr, "monitor: %s\n", holdfast_error_message());
  return false;
}

// False, after a message with the error of a system call.
static bool system_failed(const char *what) {
  fprintf(stderr, "monitor: %s: %s\n", what, strerror(errno));
  return false;
}

static bool check_failed(const char *what) {
  fprintf(stderr, "monitor: %s\n", what);
  return false;
}

// Takes memory from the host and maps all of it, so that the guest never faults.
static bool make_memory(struct memory *memory) {
  struct holdfast_arena_options arena_options = {
      .struct_size = sizeof(arena_options), .size = memory_size, .purpose = HOLDFAST_FOR_WIRING};
  if (!is_ok(holdfast_arena_create(&arena_options, &memory->arena)))
    return false;
  struct holdfast_guest_options guest_options = {.struct_size = sizeof(guest_options),
                                                 .limit = memory_size};
  if (!is_ok(holdfast_guest_create(memory->arena, &guest_options, &memory->guest)))
    return false;
  if (!is_ok(holdfast_segment_create(memory->guest, "ram", memory_size, &memory->ram)))
    return false;
  const uint32_t protection = HOLDFAST_READ | HOLDFAST_WRITE | HOLDFAST_EXECUTE;
  if (!is_ok(holdfast_map(memory->guest, memory->ram, 0, 0, memory_size, protection,
                          HOLDFAST_MAP_WIRED, &memory->receipt)))
    return false;
  void *bytes;
  if (!is_ok(holdfast_guest_host_address(memory->guest, 0, memory_size, &bytes)))
    return false;
  memory->bytes = bytes;
  return is_ok(holdfast_guest_write(memory->guest, code_address, code, sizeof(code)));
}

static bool print_receipt(holdfast_receipt receipt) {
  char *json;
  if (!is_ok(holdfast_receipt_json(receipt, &json)))
    return false;
  puts(json);
  holdfast_text_free(json);
  struct holdfast_verification found = {.struct_size = sizeof(found)};
  if (!is_ok(holdfast_receipt_verify(receipt, &found)))
    return false;
  printf("the kernel has %" PRIu64 " MiB of it in its page tables\n", found.present >> 20);
  return found.is_verified || check_failed("the kernel's view contradicts the receipt");
}

// Closes what there is. A guest's processors have to be gone before its memory.
static void end_memory(struct memory *memory) {
  if (memory->receipt.id)
    holdfast_receipt_close(memory->receipt);
  if (memory->ram.id)
    holdfast_segment_close(memory->ram);
  if (memory->guest.id)
    holdfast_guest_close(memory->guest);
  if (memory->arena.id)
    holdfast_arena_close(memory->arena);
}

// Protected mode without paging: segments of 4 GiB from address 0.
static bool set_registers(int processor) {
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

static bool make_machine(struct machine *machine, const struct memory *memory) {
  machine->vm = ioctl(machine->kvm, KVM_CREATE_VM, 0);
  if (machine->vm < 0)
    return system_failed("KVM_CREATE_VM");
  struct kvm_userspace_memory_region slot = {.slot = 0,
                                             .guest_phys_addr = 0,
                                             .memory_size = memory_size,
                                             .userspace_addr = (uintptr_t)memory->bytes};
  if (ioctl(machine->vm, KVM_SET_USER_MEMORY_REGION, &slot) < 0)
    return system_failed("KVM_SET_USER_MEMORY_REGION");
  machine->processor = ioctl(machine->vm, KVM_CREATE_VCPU, 0);
  if (machine->processor < 0)
    return system_failed("KVM_CREATE_VCPU");
  int size = ioctl(machine->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
  if (size < 0)
    return system_failed("KVM_GET_VCPU_MMAP_SIZE");
  void *run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, machine->processor, 0);
  if (run == MAP_FAILED)
    return system_failed("mapping the processor's state");
  machine->run = run;
  machine->run_size = (size_t)size;
  return set_registers(machine->processor);
}

static void end_machine(struct machine *machine) {
  if (machine->run)
    munmap(machine->run, machine->run_size);
  if (machine->processor >= 0)
    close(machine->processor);
  if (machine->vm >= 0)
    close(machine->vm);
  close(machine->kvm);
}

// Runs the guest until it halts. What it wrote to the port goes to `reported`.
static bool run_machine(struct machine *machine, uint32_t *reported) {
  for (;;) {
    if (ioctl(machine->processor, KVM_RUN, 0) < 0) {
      if (errno == EINTR)
        continue;
      return system_failed("KVM_RUN");
    }
    struct kvm_run *run = machine->run;
    switch (run->exit_reason) {
    case KVM_EXIT_IO:
      if (run->io.direction != KVM_EXIT_IO_OUT || run->io.port != port || run->io.size != 4)
        return check_failed("the guest accessed another port");
      memcpy(reported, (const uint8_t *)run + run->io.data_offset, sizeof(*reported));
      break;
    case KVM_EXIT_HLT:
      return true;
    default:
      fprintf(stderr, "monitor: the guest stopped for reason %" PRIu32 "\n", run->exit_reason);
      return false;
    }
  }
}

// The code is unchanged, each page of the pattern begins with its address, and the rest is zero.
static bool check_memory(const struct memory *memory) {
  static const uint8_t zeros[page_size];
  for (uint64_t page = 0; page < memory_size; page += page_size) {
    uint8_t expected[page_size];
    memcpy(expected, zeros, page_size);
    if (page == code_address)
      memcpy(expected, code, sizeof(code));
    const uint32_t address = (uint32_t)page;
    if (page >= pattern_address && page < pattern_address + pages * page_size)
      memcpy(expected, &address, sizeof(address));
    if (memcmp(memory->bytes + page, expected, page_size) != 0) {
      fprintf(stderr, "monitor: the page at 0x%" PRIx64 " has other bytes\n", page);
      return false;
    }
  }
  return true;
}

static bool run_guest(struct memory *memory, struct machine *machine) {
  uint32_t reported = 0;
  if (!make_memory(memory) || !print_receipt(memory->receipt))
    return false;
  if (!make_machine(machine, memory) || !run_machine(machine, &reported))
    return false;
  printf("the guest wrote to %" PRIu32 " pages\n", reported);
  if (reported != pages)
    return check_failed("the guest wrote to another number of pages");
  return check_memory(memory);
}

int main(void) {
  struct machine machine = {.kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), .vm = -1, .processor = -1};
  if (machine.kvm < 0) {
    printf("monitor: skipped: /dev/kvm cannot be opened: %s\n", strerror(errno));
    return 77;
  }
  struct memory memory = {.bytes = NULL};
  const bool succeeded = run_guest(&memory, &machine);
  end_machine(&machine);
  end_memory(&memory);
  return succeeded ? 0 : 1;
}
