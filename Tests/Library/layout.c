// The layout of every structure and the value of every constant of holdfast.h, as the first
// version with each of them has it. Compiling this fails where one has changed, which needs a new
// SONAME. Members may be appended: the line of the size changes then, and lines are added. On
// 64-bit hosts.
#include <holdfast.h>
#include <stddef.h>

#define SIZE(type, size) _Static_assert(sizeof(type) == (size), #type)
#define MEMBER(type, member, offset, size)                                                         \
  _Static_assert(offsetof(type, member) == (offset) && sizeof(((type *)0)->member) == (size),      \
                 #type "." #member)
#define CONSTANT(name, value) _Static_assert((name) == (value), #name)

SIZE(struct holdfast_token, 8);
MEMBER(struct holdfast_token, id, 0, 8);

SIZE(struct holdfast_arena, 8);
MEMBER(struct holdfast_arena, id, 0, 8);

SIZE(struct holdfast_guest, 8);
MEMBER(struct holdfast_guest, id, 0, 8);

SIZE(struct holdfast_segment, 8);
MEMBER(struct holdfast_segment, id, 0, 8);

SIZE(struct holdfast_receipt, 8);
MEMBER(struct holdfast_receipt, id, 0, 8);

SIZE(struct holdfast_hold, 8);
MEMBER(struct holdfast_hold, id, 0, 8);

SIZE(struct holdfast_lease, 8);
MEMBER(struct holdfast_lease, id, 0, 8);

SIZE(struct holdfast_host, 64);
MEMBER(struct holdfast_host, struct_size, 0, 8);
MEMBER(struct holdfast_host, features, 8, 8);
MEMBER(struct holdfast_host, available, 16, 8);
MEMBER(struct holdfast_host, total, 24, 8);
MEMBER(struct holdfast_host, free_2m, 32, 8);
MEMBER(struct holdfast_host, free_1g, 40, 8);
MEMBER(struct holdfast_host, processors, 48, 8);
MEMBER(struct holdfast_host, nodes, 56, 8);

SIZE(struct holdfast_arena_options, 56);
MEMBER(struct holdfast_arena_options, struct_size, 0, 8);
MEMBER(struct holdfast_arena_options, size, 8, 8);
MEMBER(struct holdfast_arena_options, purpose, 16, 4);
MEMBER(struct holdfast_arena_options, backing, 20, 4);
MEMBER(struct holdfast_arena_options, threads, 24, 4);
MEMBER(struct holdfast_arena_options, reserved, 28, 4);
MEMBER(struct holdfast_arena_options, node, 32, 8);
MEMBER(struct holdfast_arena_options, progress, 40, 8);
MEMBER(struct holdfast_arena_options, progress_context, 48, 8);

SIZE(struct holdfast_arena_info, 64);
MEMBER(struct holdfast_arena_info, struct_size, 0, 8);
MEMBER(struct holdfast_arena_info, size, 8, 8);
MEMBER(struct holdfast_arena_info, page_size, 16, 8);
MEMBER(struct holdfast_arena_info, free, 24, 8);
MEMBER(struct holdfast_arena_info, zeroed, 32, 8);
MEMBER(struct holdfast_arena_info, locked, 40, 8);
MEMBER(struct holdfast_arena_info, nanoseconds, 48, 8);
MEMBER(struct holdfast_arena_info, backing, 56, 4);
MEMBER(struct holdfast_arena_info, threads, 60, 4);

SIZE(struct holdfast_guest_options, 40);
MEMBER(struct holdfast_guest_options, struct_size, 0, 8);
MEMBER(struct holdfast_guest_options, limit, 8, 8);
MEMBER(struct holdfast_guest_options, wired_limit, 16, 8);
MEMBER(struct holdfast_guest_options, purpose, 24, 4);
MEMBER(struct holdfast_guest_options, demand_paging, 28, 4);
MEMBER(struct holdfast_guest_options, granularity, 32, 4);
MEMBER(struct holdfast_guest_options, failed_fault, 36, 4);

SIZE(struct holdfast_guest_info, 40);
MEMBER(struct holdfast_guest_info, struct_size, 0, 8);
MEMBER(struct holdfast_guest_info, host_address, 8, 8);
MEMBER(struct holdfast_guest_info, limit, 16, 8);
MEMBER(struct holdfast_guest_info, is_direct, 24, 8);
MEMBER(struct holdfast_guest_info, faults, 32, 8);

SIZE(struct holdfast_residency, 24);
MEMBER(struct holdfast_residency, struct_size, 0, 8);
MEMBER(struct holdfast_residency, resident, 8, 8);
MEMBER(struct holdfast_residency, shared, 16, 8);

SIZE(struct holdfast_receipt_info, 64);
MEMBER(struct holdfast_receipt_info, struct_size, 0, 8);
MEMBER(struct holdfast_receipt_info, requested, 8, 8);
MEMBER(struct holdfast_receipt_info, resident, 16, 8);
MEMBER(struct holdfast_receipt_info, wired, 24, 8);
MEMBER(struct holdfast_receipt_info, locked, 32, 8);
MEMBER(struct holdfast_receipt_info, zeroed_ahead, 40, 8);
MEMBER(struct holdfast_receipt_info, zeroed_now, 48, 8);
MEMBER(struct holdfast_receipt_info, nanoseconds, 56, 8);

SIZE(struct holdfast_verification, 56);
MEMBER(struct holdfast_verification, struct_size, 0, 8);
MEMBER(struct holdfast_verification, is_verified, 8, 8);
MEMBER(struct holdfast_verification, present, 16, 8);
MEMBER(struct holdfast_verification, resident, 24, 8);
MEMBER(struct holdfast_verification, locked, 32, 8);
MEMBER(struct holdfast_verification, compared_frames, 40, 8);
MEMBER(struct holdfast_verification, problems, 48, 8);

SIZE(struct holdfast_fork_info, 40);
MEMBER(struct holdfast_fork_info, struct_size, 0, 8);
MEMBER(struct holdfast_fork_info, resident, 8, 8);
MEMBER(struct holdfast_fork_info, shared, 16, 8);
MEMBER(struct holdfast_fork_info, copied, 24, 8);
MEMBER(struct holdfast_fork_info, nanoseconds, 32, 8);

SIZE(struct holdfast_snapshot_info, 32);
MEMBER(struct holdfast_snapshot_info, struct_size, 0, 8);
MEMBER(struct holdfast_snapshot_info, size, 8, 8);
MEMBER(struct holdfast_snapshot_info, written, 16, 8);
MEMBER(struct holdfast_snapshot_info, nanoseconds, 24, 8);

SIZE(struct holdfast_lease_options, 80);
MEMBER(struct holdfast_lease_options, struct_size, 0, 8);
MEMBER(struct holdfast_lease_options, size, 8, 8);
MEMBER(struct holdfast_lease_options, mount, 16, 8);
MEMBER(struct holdfast_lease_options, socket, 24, 8);
MEMBER(struct holdfast_lease_options, name, 32, 8);
MEMBER(struct holdfast_lease_options, node, 40, 8);
MEMBER(struct holdfast_lease_options, timeout_nanoseconds, 48, 8);
MEMBER(struct holdfast_lease_options, is_exact, 56, 4);
MEMBER(struct holdfast_lease_options, grows, 60, 4);
MEMBER(struct holdfast_lease_options, is_held, 64, 4);
MEMBER(struct holdfast_lease_options, reserved, 68, 4);
MEMBER(struct holdfast_lease_options, token, 72, 8);

SIZE(struct holdfast_lease_info, 56);
MEMBER(struct holdfast_lease_info, struct_size, 0, 8);
MEMBER(struct holdfast_lease_info, size, 8, 8);
MEMBER(struct holdfast_lease_info, page_size, 16, 8);
MEMBER(struct holdfast_lease_info, node, 24, 8);
MEMBER(struct holdfast_lease_info, is_held, 32, 8);
MEMBER(struct holdfast_lease_info, is_exclusive, 40, 8);
MEMBER(struct holdfast_lease_info, nanoseconds, 48, 8);

CONSTANT(HOLDFAST_OK, 0);
CONSTANT(HOLDFAST_INVALID_ADDRESS, 1);
CONSTANT(HOLDFAST_INVALID_ARGUMENT, 2);
CONSTANT(HOLDFAST_PROTECTION_FAILURE, 3);
CONSTANT(HOLDFAST_NO_SPACE, 4);
CONSTANT(HOLDFAST_RESOURCE_SHORTAGE, 5);
CONSTANT(HOLDFAST_PAGER_FAILURE, 6);
CONSTANT(HOLDFAST_ALREADY_EXISTS, 7);
CONSTANT(HOLDFAST_BUSY, 8);
CONSTANT(HOLDFAST_CANCELLED, 9);
CONSTANT(HOLDFAST_NOT_PERMITTED, 10);
CONSTANT(HOLDFAST_UNSUPPORTED, 11);
CONSTANT(HOLDFAST_HOST, 12);
CONSTANT(HOLDFAST_GUEST_FAULT, 13);
CONSTANT(HOLDFAST_NO_RESERVOIR, 14);
CONSTANT(HOLDFAST_NO_LEASE, 15);
CONSTANT(HOLDFAST_NO_READY_MEMORY, 16);
CONSTANT(HOLDFAST_UNTRUSTED, 17);
CONSTANT(HOLDFAST_NO_TEMPLATE, 18);
CONSTANT(HOLDFAST_INVALID_HANDLE, 100);
CONSTANT(HOLDFAST_FOREIGN_PROCESS, 101);
CONSTANT(HOLDFAST_HOST_KVM, 1u << 0);
CONSTANT(HOLDFAST_HOST_DEMAND_PAGING, 1u << 1);
CONSTANT(HOLDFAST_HOST_SHARED_THP, 1u << 2);
CONSTANT(HOLDFAST_HOST_PRIVATE_THP, 1u << 3);
CONSTANT(HOLDFAST_FOR_WIRING, 0);
CONSTANT(HOLDFAST_FOR_PAGING, 1);
CONSTANT(HOLDFAST_FOR_FORKING, 2);
CONSTANT(HOLDFAST_BACKING_BEST, 0);
CONSTANT(HOLDFAST_BACKING_HUGETLB_1G, 1);
CONSTANT(HOLDFAST_BACKING_HUGETLB_2M, 2);
CONSTANT(HOLDFAST_BACKING_THP, 3);
CONSTANT(HOLDFAST_BACKING_THP_PRIVATE, 4);
CONSTANT(HOLDFAST_BACKING_BASE, 5);
CONSTANT(HOLDFAST_GUEST_ANY, 0);
CONSTANT(HOLDFAST_GUEST_MAPPING, 1);
CONSTANT(HOLDFAST_GUEST_WIRING, 2);
CONSTANT(HOLDFAST_FAULT_LARGE_PAGE, 0);
CONSTANT(HOLDFAST_FAULT_BASE_PAGE, 1);
CONSTANT(HOLDFAST_FAILED_FAULT_PAUSE, 0);
CONSTANT(HOLDFAST_FAILED_FAULT_REFUSE, 1);
CONSTANT(HOLDFAST_READ, 1u << 0);
CONSTANT(HOLDFAST_WRITE, 1u << 1);
CONSTANT(HOLDFAST_EXECUTE, 1u << 2);
CONSTANT(HOLDFAST_MAP_WIRED, 1u << 0);
CONSTANT(HOLDFAST_NODE(0), 1);
