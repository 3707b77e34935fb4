/// Questions to the kernel about what this host offers. No function leaves a descriptor open.
#ifndef HF_PROBE_H
#define HF_PROBE_H

#include <stdint.h>

#pragma clang assume_nonnull begin

/// Calls userfaultfd(2), with UFFD_USER_MODE_ONLY if `user_mode_only` is not zero, and stores the
/// features that UFFDIO_API reports. Returns 0 or a negative errno.
int hf_probe_userfault(int user_mode_only, uint64_t *features);

/// The same with USERFAULTFD_IOC_NEW on the device at `path`.
int hf_probe_userfault_device(const char *path, uint64_t *features);

/// prctl(2) with PR_GET_THP_DISABLE: bit 0 if transparent huge pages are disabled for the process,
/// and bit 1 if memory that asks for them by madvise(2) gets them all the same (Linux 6.18). Or a
/// negative errno.
int hf_probe_thp_disable(void);

/// Stores the effective capabilities of the process, capget(2). Returns 0 or a negative errno.
int hf_probe_capabilities(uint64_t *capabilities);

/// What sysinfo(2) reports, in bytes.
struct hf_host_memory {
  uint64_t total;
  uint64_t free;
  uint64_t buffers;
};

/// Calls sysinfo(2). Returns 0 or a negative errno.
int hf_probe_memory(struct hf_host_memory *memory);

/// Opens the device at `path` for reading and writing and returns its KVM_GET_API_VERSION, or a
/// negative errno.
int hf_probe_kvm(const char *path);

/// Opens the device at `path` and returns its KVM_CHECK_EXTENSION of a capability, or a negative
/// errno.
int hf_probe_kvm_extension(const char *path, int capability);

#pragma clang assume_nonnull end

#endif
