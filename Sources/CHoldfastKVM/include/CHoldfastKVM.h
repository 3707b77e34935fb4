/// KVM's calls that Swift cannot make: the request numbers are macros, and the reason of an exit is
/// a union. Only for x86-64. Functions return 0, a descriptor or a number, or a negative errno
/// unless said otherwise.
#ifndef CHOLDFASTKVM_H
#define CHOLDFASTKVM_H

#include <linux/kvm.h>
#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

// Capabilities and exits, also those that headers older than the running kernel lack.
enum {
  HF_CAP_USER_MEMORY = 3,
  HF_CAP_SET_TSS_ADDR = 4,
  HF_CAP_NR_MEMSLOTS = 10,
  HF_CAP_SET_IDENTITY_MAP_ADDR = 37,
  HF_CAP_MAX_VCPUS = 66,
  HF_CAP_READONLY_MEM = 81,
  HF_CAP_IMMEDIATE_EXIT = 136,
  HF_CAP_ENFORCE_PV_FEATURE_CPUID = 190,
  HF_CAP_MEMORY_FAULT_INFO = 232,
  HF_CAP_PRE_FAULT_MEMORY = 236,
};

enum {
  HF_EXIT_IO = 2,
  HF_EXIT_HLT = 5,
  HF_EXIT_MMIO = 6,
  HF_EXIT_SHUTDOWN = 8,
  HF_EXIT_FAIL_ENTRY = 9,
  HF_EXIT_INTR = 10,
  HF_EXIT_INTERNAL_ERROR = 17,
  HF_EXIT_MEMORY_FAULT = 39,
};

/// open(2) of a KVM device, for reading and writing, close-on-exec.
int hf_kvm_open(const char *path);
int hf_kvm_close(int fd);

/// KVM_GET_API_VERSION.
int hf_kvm_api_version(int device);
/// KVM_CHECK_EXTENSION, of the device or of a machine.
int hf_kvm_extension(int fd, int capability);
/// KVM_CREATE_VM.
int hf_kvm_create_vm(int device);
/// KVM_SET_TSS_ADDR: three pages that Intel's processors need in real mode.
int hf_kvm_set_tss(int vm, uint64_t address);
/// KVM_SET_IDENTITY_MAP_ADDR: a page for the same purpose.
int hf_kvm_set_identity_map(int vm, uint64_t address);

enum {
  HF_SLOT_LOG_DIRTY = 1,
  HF_SLOT_READ_ONLY = 2,
};

/// KVM_SET_USER_MEMORY_REGION; a length of 0 removes the slot.
int hf_kvm_set_slot(int vm, uint32_t slot, uint32_t flags, uint64_t guest, uint64_t host,
                    uint64_t length);

/// KVM_CREATE_VCPU.
int hf_kvm_create_vcpu(int vm, uint32_t number);
/// KVM_GET_VCPU_MMAP_SIZE.
int hf_kvm_run_size(int device);
/// KVM_GET_SUPPORTED_CPUID of the device, given to the processor by KVM_SET_CPUID2; if `is_plain`
/// is not zero, without the features that have KVM access guest memory by itself.
int hf_kvm_set_host_cpuid(int device, int vcpu, int is_plain);
/// KVM_CAP_ENFORCE_PV_FEATURE_CPUID: KVM refuses its own interfaces that CPUID does not have.
int hf_kvm_enforce_cpuid(int vcpu);

/// KVM_GET_REGS, KVM_SET_REGS, KVM_GET_SREGS and KVM_SET_SREGS.
int hf_kvm_get_registers(int vcpu, struct kvm_regs *registers);
int hf_kvm_set_registers(int vcpu, const struct kvm_regs *registers);
int hf_kvm_get_special_registers(int vcpu, struct kvm_sregs *registers);
int hf_kvm_set_special_registers(int vcpu, const struct kvm_sregs *registers);

/// Maps a processor's shared area, struct kvm_run.
int hf_kvm_map_run(int vcpu, size_t size, void *_Nullable *_Nonnull run);
/// Maps private memory of zeros.
int hf_kvm_map_memory(size_t size, void *_Nullable *_Nonnull memory);
/// mprotect(2), to allow all access or none.
int hf_kvm_allow(void *start, size_t size, int is_allowed);
int hf_kvm_unmap(void *start, size_t size);

/// KVM_RUN.
int hf_kvm_run(int vcpu);

/// Why KVM_RUN returned. Members that do not apply are 0.
struct hf_exit {
  uint32_t reason;
  /// The width of one access, and how many there are (I/O).
  uint32_t width;
  uint32_t count;
  uint32_t is_write;
  /// The port or guest address.
  uint64_t address;
  uint64_t length;
  /// The flags of a memory fault, the hardware's reason, or the number of an internal error.
  uint64_t detail;
  /// The bytes of a memory-mapped write, `length` of them.
  uint8_t data[8];
};

/// Copies the exit out of struct kvm_run.
void hf_kvm_exit(const void *run, struct hf_exit *what);

/// Copies the bytes that an I/O exit writes, at most `capacity` bytes; returns how many.
size_t hf_kvm_output(const void *run, uint8_t *bytes, size_t capacity);
/// Sets the bytes that an I/O or memory-mapped read gets; returns how many it takes.
size_t hf_kvm_answer(void *run, const uint8_t *bytes, size_t length);

/// Sets immediate_exit: the current or next KVM_RUN returns EINTR at once.
void hf_kvm_request_exit(void *run);
/// Clears immediate_exit; returns whether it was set.
int hf_kvm_take_exit_request(void *run);

/// Chooses a real-time signal that the program does not use, and installs an empty handler for it,
/// once. Returns the signal's number, or -EBUSY where all are in use.
int hf_kvm_kick_signal(void);
/// Unblocks the signal in the calling thread; returns 1 where it was blocked before, else 0.
int hf_kvm_unblock_kick(void);
/// Blocks the signal in the calling thread.
void hf_kvm_block_kick(void);
/// Sends the signal to a thread of this process, which makes the thread leave KVM_RUN.
int hf_kvm_kick(int thread);
/// gettid(2).
int hf_kvm_thread(void);

/// KVM_PRE_FAULT_MEMORY, once: advances the address and reduces the length by what was mapped.
int hf_kvm_pre_fault(int vcpu, uint64_t *address, uint64_t *length);

/// Loads and stores a word atomically, since a guest may access it at the same time.
uint64_t hf_kvm_load(const void *place);
void hf_kvm_store(void *place, uint64_t value);

#pragma clang assume_nonnull end

#endif
