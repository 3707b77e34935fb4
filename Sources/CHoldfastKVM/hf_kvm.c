#include "CHoldfastKVM.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static int answer(int result) { return result < 0 ? -errno : result; }

int hf_kvm_open(const char *path) { return answer(open(path, O_RDWR | O_CLOEXEC)); }
int hf_kvm_close(int fd) { return answer(close(fd)); }
int hf_kvm_api_version(int device) { return answer(ioctl(device, KVM_GET_API_VERSION, 0)); }

int hf_kvm_extension(int fd, int capability) {
  return answer(ioctl(fd, KVM_CHECK_EXTENSION, (unsigned long)capability));
}

int hf_kvm_create_vm(int device) { return answer(ioctl(device, KVM_CREATE_VM, 0)); }

int hf_kvm_set_tss(int vm, uint64_t address) {
  return answer(ioctl(vm, KVM_SET_TSS_ADDR, (unsigned long)address));
}

int hf_kvm_set_identity_map(int vm, uint64_t address) {
  return answer(ioctl(vm, KVM_SET_IDENTITY_MAP_ADDR, &address));
}

int hf_kvm_set_slot(int vm, uint32_t slot, uint32_t flags, uint64_t guest, uint64_t host,
                    uint64_t length) {
  struct kvm_userspace_memory_region region = {
      .slot = slot,
      .flags = (flags & HF_SLOT_LOG_DIRTY ? KVM_MEM_LOG_DIRTY_PAGES : 0) |
               (flags & HF_SLOT_READ_ONLY ? KVM_MEM_READONLY : 0),
      .guest_phys_addr = guest,
      .memory_size = length,
      .userspace_addr = host,
  };
  return answer(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region));
}

int hf_kvm_create_vcpu(int vm, uint32_t number) {
  return answer(ioctl(vm, KVM_CREATE_VCPU, (unsigned long)number));
}

int hf_kvm_run_size(int device) { return answer(ioctl(device, KVM_GET_VCPU_MMAP_SIZE, 0)); }

/// Hides the features whose instructions and registers have KVM access guest memory by itself:
/// nested machines, KVM's own interfaces, and the emulation of UMIP.
static void hide(struct kvm_cpuid2 *table) {
  for (uint32_t i = 0; i < table->nent; i++) {
    struct kvm_cpuid_entry2 *entry = &table->entries[i];
    if (entry->function == 1) entry->ecx &= ~(1u << 5);
    if (entry->function == 7 && entry->index == 0) entry->ecx &= ~(1u << 2);
    if (entry->function == 0x80000001) entry->ecx &= ~(1u << 2);
    if (entry->function == 0x40000001) entry->eax = 0;
  }
}

int hf_kvm_enforce_cpuid(int vcpu) {
  struct kvm_enable_cap request = {.cap = HF_CAP_ENFORCE_PV_FEATURE_CPUID, .args = {1}};
  return answer(ioctl(vcpu, KVM_ENABLE_CAP, &request));
}

int hf_kvm_set_host_cpuid(int device, int vcpu, int is_plain) {
  for (uint32_t count = 128; count <= 4096; count *= 2) {
    struct kvm_cpuid2 *table =
        calloc(1, sizeof(struct kvm_cpuid2) + count * sizeof(struct kvm_cpuid_entry2));
    if (!table) return -ENOMEM;
    table->nent = count;
    int result = answer(ioctl(device, KVM_GET_SUPPORTED_CPUID, table));
    if (result == 0 && is_plain) hide(table);
    if (result == 0) result = answer(ioctl(vcpu, KVM_SET_CPUID2, table));
    free(table);
    if (result != -E2BIG) return result;
  }
  return -E2BIG;
}

int hf_kvm_get_registers(int vcpu, struct kvm_regs *registers) {
  return answer(ioctl(vcpu, KVM_GET_REGS, registers));
}

int hf_kvm_set_registers(int vcpu, const struct kvm_regs *registers) {
  return answer(ioctl(vcpu, KVM_SET_REGS, registers));
}

int hf_kvm_get_special_registers(int vcpu, struct kvm_sregs *registers) {
  return answer(ioctl(vcpu, KVM_GET_SREGS, registers));
}

int hf_kvm_set_special_registers(int vcpu, const struct kvm_sregs *registers) {
  return answer(ioctl(vcpu, KVM_SET_SREGS, registers));
}

static int map(size_t size, int flags, int fd, void **start) {
  void *place = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);
  if (place == MAP_FAILED) return -errno;
  *start = place;
  return 0;
}

int hf_kvm_map_run(int vcpu, size_t size, void **run) { return map(size, MAP_SHARED, vcpu, run); }

int hf_kvm_map_memory(size_t size, void **memory) {
  return map(size, MAP_PRIVATE | MAP_ANONYMOUS, -1, memory);
}

int hf_kvm_allow(void *start, size_t size, int is_allowed) {
  return answer(mprotect(start, size, is_allowed ? PROT_READ | PROT_WRITE : PROT_NONE));
}

int hf_kvm_unmap(void *start, size_t size) { return answer(munmap(start, size)); }

int hf_kvm_run(int vcpu) { return answer(ioctl(vcpu, KVM_RUN, 0)); }

/// The member of the union for HF_EXIT_MEMORY_FAULT, which older headers lack.
struct memory_fault {
  uint64_t flags;
  uint64_t address;
  uint64_t length;
};

void hf_kvm_exit(const void *area, struct hf_exit *what) {
  const struct kvm_run *run = area;
  struct memory_fault fault;
  memset(what, 0, sizeof *what);
  what->reason = run->exit_reason;
  switch (run->exit_reason) {
  case KVM_EXIT_IO:
    what->width = run->io.size;
    what->count = run->io.count;
    what->is_write = run->io.direction == KVM_EXIT_IO_OUT;
    what->address = run->io.port;
    what->length = (uint64_t)run->io.size * run->io.count;
    break;
  case KVM_EXIT_MMIO:
    what->is_write = run->mmio.is_write;
    what->address = run->mmio.phys_addr;
    what->length = run->mmio.len <= sizeof what->data ? run->mmio.len : sizeof what->data;
    memcpy(what->data, run->mmio.data, sizeof what->data);
    break;
  case KVM_EXIT_FAIL_ENTRY:
    what->detail = run->fail_entry.hardware_entry_failure_reason;
    break;
  case KVM_EXIT_INTERNAL_ERROR:
    what->detail = run->internal.suberror;
    break;
  case HF_EXIT_MEMORY_FAULT:
    memcpy(&fault, (const uint8_t *)area + offsetof(struct kvm_run, hw), sizeof fault);
    what->detail = fault.flags;
    what->address = fault.address;
    what->length = fault.length;
    break;
  default:
    what->detail = run->hw.hardware_exit_reason;
  }
}

size_t hf_kvm_output(const void *area, uint8_t *bytes, size_t capacity) {
  const struct kvm_run *run = area;
  size_t length = (size_t)run->io.size * run->io.count;
  if (length > capacity) length = capacity;
  memcpy(bytes, (const uint8_t *)area + run->io.data_offset, length);
  return length;
}

size_t hf_kvm_answer(void *area, const uint8_t *bytes, size_t length) {
  struct kvm_run *run = area;
  size_t room = 0;
  uint8_t *place = run->mmio.data;
  if (run->exit_reason == KVM_EXIT_IO && run->io.direction == KVM_EXIT_IO_IN) {
    room = (size_t)run->io.size * run->io.count;
    place = (uint8_t *)area + run->io.data_offset;
  } else if (run->exit_reason == KVM_EXIT_MMIO && !run->mmio.is_write) {
    room = run->mmio.len <= sizeof run->mmio.data ? run->mmio.len : sizeof run->mmio.data;
  }
  if (length > room) length = room;
  memcpy(place, bytes, length);
  return length;
}

void hf_kvm_request_exit(void *run) {
  __atomic_store_n(&((struct kvm_run *)run)->immediate_exit, 1, __ATOMIC_SEQ_CST);
}

int hf_kvm_take_exit_request(void *run) {
  return __atomic_exchange_n(&((struct kvm_run *)run)->immediate_exit, 0, __ATOMIC_SEQ_CST);
}

// KVM_PRE_FAULT_MEMORY of Linux 6.11, which older headers lack.
struct pre_fault {
  uint64_t address;
  uint64_t length;
  uint64_t flags;
  uint64_t padding[5];
};
#define HF_PRE_FAULT_MEMORY _IOWR(KVMIO, 0xd5, struct pre_fault)

int hf_kvm_pre_fault(int vcpu, uint64_t *address, uint64_t *length) {
  struct pre_fault request = {.address = *address, .length = *length};
  int result = answer(ioctl(vcpu, HF_PRE_FAULT_MEMORY, &request));
  // The part that was mapped before an error counts too.
  *address = request.address;
  *length = request.length;
  return result;
}

uint64_t hf_kvm_load(const void *place) {
  return __atomic_load_n((const uint64_t *)place, __ATOMIC_ACQUIRE);
}

void hf_kvm_store(void *place, uint64_t value) {
  __atomic_store_n((uint64_t *)place, value, __ATOMIC_RELEASE);
}
