/**
 * holdfast.h - memory for virtual machines: wired in microseconds, paged on demand, forked.
 *
 * An arena is populated memory of the host that guests share. A guest's memory is a range of guest
 * addresses, from 0 to a limit, and the window in this process at which the monitor, KVM and
 * devices access it. Segments are RAM that is mapped there: wired, or paged on demand. A lease is
 * ready memory of a reservoir, which another process keeps (see holdfast-reservoir(1)).
 *
 * Conventions:
 *
 * - Functions return HOLDFAST_OK or an error code. Results are stored where the last pointers tell;
 *   after an error nothing is stored there. No function raises a signal, or ends the process except
 *   where docs/c.md ("Errors") says so: mainly if malloc(3) has no memory.
 * - The codes are stable; HOLDFAST_INVALID_HANDLE and those after it are this interface's own.
 *   holdfast_error_message() and holdfast_error_json() describe the last error of the calling
 *   thread.
 * - Sizes, offsets and addresses are bytes in uint64_t. Ranges are whole pages unless said
 *   otherwise; the page of an arena is in its information.
 * - Handles are numbers in a structure of their own type, never 0 and never used again. A handle
 *   that is 0, closed, of another kind or made up is HOLDFAST_INVALID_HANDLE.
 * - The first member of every structure is its size, which the caller sets to sizeof before each
 *   call. Later versions append members: of a smaller structure they use and fill only the members
 *   that it has, and of a larger one the rest must be zero, or the call is
 *   HOLDFAST_INVALID_ARGUMENT. A member that is 0 has its default.
 * - A pointer may be null only where that is said; elsewhere null is HOLDFAST_INVALID_ARGUMENT.
 * - Texts are UTF-8 and end with a zero byte. Those that the caller gives are copied. Those that a
 *   function stores through a `char **` are the caller's, who frees them with
 *   holdfast_text_free().
 *
 * Threads: each function may be called from any thread, at the same time as any other, also with
 * the same handle. A handle may be closed while another thread is in a call that uses it: that call
 * ends as if the handle were still open. Objects keep what they need: an arena lives until its
 * guests are closed, a guest until its holds are released, so the order of closing is free.
 * A callback runs on the calling thread or on a thread of the library, and holds up its work, so it
 * should return soon. It must not unwind through the library (longjmp(3), C++ exceptions), and its
 * context must live until the call or object that it was given to has ended.
 *
 * fork(2): in a child of a process that has called the library all handles are
 * HOLDFAST_FOREIGN_PROCESS, since the kernel gives a child neither the windows nor the threads that
 * serve them. The child may call execve(2) at once; a library call other than the ones for errors
 * does nothing there. Become a daemon before the first call: the thread that forked may use the
 * library then, and each call that it makes runs on a thread of the library, or is HOLDFAST_HOST if
 * none can be created. Descriptors are close-on-exec.
 *
 * Signals: the library installs no handlers, and its threads block all signals. But the thread that
 * makes a call of the one that forked leaves SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP and SIGSYS as
 * that one has them. Calls of the kernel that a signal interrupts are repeated. No function may be
 * called in a handler.
 */
#ifndef HOLDFAST_H
#define HOLDFAST_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- Versions ------------------------------------------------------------------------------- */

/** The version of this header. */
#define HOLDFAST_VERSION_MAJOR 0
#define HOLDFAST_VERSION_MINOR 2
#define HOLDFAST_VERSION_PATCH 0

/** The version of the library: major << 16 | minor << 8 | patch. */
uint32_t holdfast_version(void);

/* --- Errors --------------------------------------------------------------------------------- */

/** What a function returns: HOLDFAST_OK or why it failed. The values do not change. */
typedef int32_t holdfast_status;
enum {
  HOLDFAST_OK = 0,
  /** A part of the range is not mapped, or not mapped for the access. */
  HOLDFAST_INVALID_ADDRESS = 1,
  /** An argument is outside of what the function accepts. */
  HOLDFAST_INVALID_ARGUMENT = 2,
  /** The protection does not allow the access. */
  HOLDFAST_PROTECTION_FAILURE = 3,
  /** The range of addresses is in use, or no free range is large enough. */
  HOLDFAST_NO_SPACE = 4,
  /** Memory, huge pages, a limit, mappings or another resource is exhausted. */
  HOLDFAST_RESOURCE_SHORTAGE = 5,
  /** A page of a restored segment cannot be read. */
  HOLDFAST_PAGER_FAILURE = 6,
  /** An object of that name or at that address exists. */
  HOLDFAST_ALREADY_EXISTS = 7,
  /** Another thread or process uses the object. */
  HOLDFAST_BUSY = 8,
  /** The caller cancelled the operation. */
  HOLDFAST_CANCELLED = 9,
  /** This user lacks the permission. */
  HOLDFAST_NOT_PERMITTED = 10,
  /** The host lacks the feature. */
  HOLDFAST_UNSUPPORTED = 11,
  /** A system call failed; the details have its errno. */
  HOLDFAST_HOST = 12,
  /** The guest accessed memory that is not there. */
  HOLDFAST_GUEST_FAULT = 13,
  /** The folder is missing or has no reservoir in it. */
  HOLDFAST_NO_RESERVOIR = 14,
  /** No lease has that name. */
  HOLDFAST_NO_LEASE = 15,
  /** No ready memory satisfies the request. */
  HOLDFAST_NO_READY_MEMORY = 16,
  /** Another user may have made or changed a file or folder that has to be trusted. */
  HOLDFAST_UNTRUSTED = 17,
  /** No template has that name. */
  HOLDFAST_NO_TEMPLATE = 18,
  /** The handle is 0, closed, of another kind, or was never given out. */
  HOLDFAST_INVALID_HANDLE = 100,
  /** The handle is of the process that this one was forked from. */
  HOLDFAST_FOREIGN_PROCESS = 101,
};

/**
 * One line about the last error of the calling thread, with what to do where that is known; an
 * empty text before the first. The text is the library's, and valid until the next call of the
 * library on this thread that fails. Never null.
 */
const char *holdfast_error_message(void);

/**
 * The same as a JSON object with the keys `code` (the name of the status, as
 * holdfast_status_name() has it), `operation`, `reason`, `range`, `address`, `errno` and `advice`,
 * of which those without a value are null. Valid as long as the message. Never null.
 */
const char *holdfast_error_json(void);

/**
 * The name of a status, such as `resourceShortage`, or `unknown`. The text is constant.
 */
const char *holdfast_status_name(holdfast_status status);

/** Frees a text that a function of this library stored. Null does nothing. */
void holdfast_text_free(char *text);

/* --- Handles -------------------------------------------------------------------------------- */

/** Cancels calls that take long. */
typedef struct holdfast_token { uint64_t id; } holdfast_token;
/** Populated memory of the host. */
typedef struct holdfast_arena { uint64_t id; } holdfast_arena;
/** A guest's memory. */
typedef struct holdfast_guest { uint64_t id; } holdfast_guest;
/** RAM of a guest, to be mapped. */
typedef struct holdfast_segment { uint64_t id; } holdfast_segment;
/** What a wired map obtained. */
typedef struct holdfast_receipt { uint64_t id; } holdfast_receipt;
/** Pages that stay where they are while a device accesses them. */
typedef struct holdfast_hold { uint64_t id; } holdfast_hold;
/** Leased memory of a reservoir. */
typedef struct holdfast_lease { uint64_t id; } holdfast_lease;

/* --- Cancellation and progress -------------------------------------------------------------- */

/** Makes a token that is not cancelled. */
holdfast_status holdfast_token_create(holdfast_token *token);

/**
 * Asks all calls that were given the token to end soon, with HOLDFAST_CANCELLED. Does not wait for
 * them; repeating it does nothing. Not for signal handlers, as it takes a lock.
 */
holdfast_status holdfast_token_cancel(holdfast_token token);

/** Closes a token. Calls that have it go on, and can no longer be cancelled by it. */
holdfast_status holdfast_token_close(holdfast_token token);

/**
 * Called with what is done and all that is to do, in bytes; from any thread, one at a time, and
 * not after the call that it was given to has returned.
 */
typedef void (*holdfast_progress)(void *context, uint64_t done, uint64_t total);

/* --- The host ------------------------------------------------------------------------------- */

enum {
  /** /dev/kvm can be opened. */
  HOLDFAST_HOST_KVM = 1u << 0,
  /** Page faults can be served (userfaultfd), also those of the kernel and of KVM. */
  HOLDFAST_HOST_DEMAND_PAGING = 1u << 1,
  /** Shared memory gets transparent huge pages where it asks for them. */
  HOLDFAST_HOST_SHARED_THP = 1u << 2,
  /** Private memory does. */
  HOLDFAST_HOST_PRIVATE_THP = 1u << 3,
};

/** What the host offers, as probed by the call. What is unknown is 0. */
struct holdfast_host {
  uint64_t struct_size;
  /** HOLDFAST_HOST_ bits. */
  uint64_t features;
  /** Memory outside of the pools of huge pages that guests can have now. */
  uint64_t available;
  /** All memory of the host. */
  uint64_t total;
  /** Free bytes of the pool of 2 MiB pages that this process may use. */
  uint64_t free_2m;
  /** The same for pages of 1 GiB. */
  uint64_t free_1g;
  /** Processors that this process may run on. */
  uint64_t processors;
  /** Nodes that have memory. */
  uint64_t nodes;
};

/** Probes the host. */
holdfast_status holdfast_host_probe(struct holdfast_host *host);

/**
 * The same as JSON: the member `host` of `holdfast host --format json`, without the keys that have
 * no value.
 */
holdfast_status holdfast_host_json(char **json);

/* --- Arenas --------------------------------------------------------------------------------- */

/** What an arena's guests need, which restricts its pages. */
enum {
  /** All memory of the guests is wired. */
  HOLDFAST_FOR_WIRING = 0,
  /** Page faults are served. */
  HOLDFAST_FOR_PAGING = 1,
  /** Guests are forked. */
  HOLDFAST_FOR_FORKING = 2,
};

/** What an arena is made of. */
enum {
  /** The best that serves the purpose and is free. */
  HOLDFAST_BACKING_BEST = 0,
  HOLDFAST_BACKING_HUGETLB_1G = 1,
  HOLDFAST_BACKING_HUGETLB_2M = 2,
  HOLDFAST_BACKING_THP = 3,
  HOLDFAST_BACKING_THP_PRIVATE = 4,
  HOLDFAST_BACKING_BASE = 5,
};

/** A node number of a structure is this much larger than the node's, so that 0 is "any". */
#define HOLDFAST_NODE(number) ((uint64_t)(number) + 1)

/** How to make an arena. */
struct holdfast_arena_options {
  uint64_t struct_size;
  /** Its size, rounded up to its page. */
  uint64_t size;
  /** HOLDFAST_FOR_; what it is for. */
  uint32_t purpose;
  /** HOLDFAST_BACKING_. */
  uint32_t backing;
  /** Threads that populate and zero memory; 0 for one for each processor. */
  uint32_t threads;
  uint32_t reserved;
  /** HOLDFAST_NODE of the node that all memory comes from; 0 for any. */
  uint64_t node;
  /** Called with the bytes that are populated, or null. */
  holdfast_progress progress;
  void *progress_context;
};

/** Takes memory from the host: zero, resident, and locked where the host allows. */
holdfast_status holdfast_arena_create(const struct holdfast_arena_options *options,
                                      holdfast_arena *arena);

/**
 * Makes an arena of a file on hugetlbfs or tmpfs that has zeros, such as a lease by descriptor. The
 * library duplicates the descriptor, so that the caller may close his, and keeps it until the arena
 * is gone.
 *
 * `node` is HOLDFAST_NODE of the node that the file is on, or 0. No other process may have the file
 * open.
 */
holdfast_status holdfast_arena_adopt(int descriptor, uint64_t node,
                                     holdfast_arena *arena);

/** What an arena is, now. */
struct holdfast_arena_info {
  uint64_t struct_size;
  uint64_t size;
  /** Its page: ranges of its guests are whole numbers of these. */
  uint64_t page_size;
  /** Bytes that no guest has. */
  uint64_t free;
  /** Those of them that are zero already. */
  uint64_t zeroed;
  /** Bytes that the kernel will not reclaim. */
  uint64_t locked;
  /** How long its preparation took. */
  uint64_t nanoseconds;
  /** HOLDFAST_BACKING_. */
  uint32_t backing;
  uint32_t threads;
};

/** Tells what an arena is, and what is free. */
holdfast_status holdfast_arena_info(holdfast_arena arena,
                                    struct holdfast_arena_info *info);

/** Zeroes the free memory that guests have left dirty, on all threads of the arena. */
holdfast_status holdfast_arena_scrub(holdfast_arena arena);

/** Closes an arena. Its memory goes back to the host when its guests are gone. */
holdfast_status holdfast_arena_close(holdfast_arena arena);

/* --- Guests --------------------------------------------------------------------------------- */

/** What a guest does with its memory. */
enum {
  /** All that its arena allows. */
  HOLDFAST_GUEST_ANY = 0,
  /** It unmaps parts, and maps others. */
  HOLDFAST_GUEST_MAPPING = 1,
  /** All of it is wired, in one piece, until the guest is gone. */
  HOLDFAST_GUEST_WIRING = 2,
};

/** How a fault zeroes and copies. */
enum {
  HOLDFAST_FAULT_LARGE_PAGE = 0,
  HOLDFAST_FAULT_BASE_PAGE = 1,
};

/** What becomes of a thread whose fault cannot be served. */
enum {
  /** It waits until holdfast_guest_retry_faults() or the end of the guest. */
  HOLDFAST_FAILED_FAULT_PAUSE = 0,
  /**
   * Its access fails: KVM_RUN with EFAULT, a thread of this process with SIGSEGV. A thread that may
   * not access a wired page waits all the same.
   */
  HOLDFAST_FAILED_FAULT_REFUSE = 1,
};

/** How to make a guest. */
struct holdfast_guest_options {
  uint64_t struct_size;
  /** The end of its addresses, which start at 0; a multiple of the arena's page. */
  uint64_t limit;
  /** How much of it may be wired; 0 for no limit. */
  uint64_t wired_limit;
  /** HOLDFAST_GUEST_. */
  uint32_t purpose;
  /** Not 0: page faults are served, so that memory need not be wired, and can be forked. */
  uint32_t demand_paging;
  /** HOLDFAST_FAULT_. */
  uint32_t granularity;
  /** HOLDFAST_FAILED_FAULT_. */
  uint32_t failed_fault;
};

/** Makes a guest's memory, without segments. */
holdfast_status holdfast_guest_create(holdfast_arena arena,
                                      const struct holdfast_guest_options *options,
                                      holdfast_guest *guest);

/** Where a guest is. */
struct holdfast_guest_info {
  uint64_t struct_size;
  /** The address in this process of guest address 0, for KVM's slots. */
  uint64_t host_address;
  uint64_t limit;
  /** Not 0 if its memory is in the arena's own mapping, not in a window of its own. */
  uint64_t is_direct;
  /** Faults that were served since it was made; 0 without demand paging. */
  uint64_t faults;
};

/** Tells where a guest is. */
holdfast_status holdfast_guest_info(holdfast_guest guest,
                                    struct holdfast_guest_info *info);

/** Serves the faults again that could not be served, and whose threads wait. */
holdfast_status holdfast_guest_retry_faults(holdfast_guest guest);

/**
 * The address in this process of a range below the guest's limit, any address and length. It stays
 * valid until the guest is gone; what is there changes with what is mapped, and where nothing is,
 * an access raises SIGSEGV.
 */
holdfast_status holdfast_guest_host_address(holdfast_guest guest, uint64_t address, uint64_t length,
                                            void **pointer);

/**
 * Copies bytes from guest memory, any address and length. Pages that are absent read as zeros, and
 * no fault is raised.
 */
holdfast_status holdfast_guest_read(holdfast_guest guest, uint64_t address,
                                    void *bytes, uint64_t length);

/** Copies bytes to guest memory, any address and length. */
holdfast_status holdfast_guest_write(holdfast_guest guest, uint64_t address,
                                     const void *bytes, uint64_t length);

/**
 * Ends a guest: its mappings are removed and its pages go back to the arena, dirty. Stop its
 * processors and devices before. If another thread is in a call with the guest, or a fork of it
 * lives, what these use stays until they have ended.
 */
holdfast_status holdfast_guest_close(holdfast_guest guest);

/* --- Segments and mappings ------------------------------------------------------------------ */

/** Makes a segment of absent pages. Its name is for messages, and one of the guest's only. */
holdfast_status holdfast_segment_create(holdfast_guest guest, const char *name,
                                        uint64_t size, holdfast_segment *segment);

/**
 * Makes a segment of a file, such as one that holdfast_guest_save() wrote. Pages are read when they
 * are first accessed or wired or, with `prefetch_threads` of 1 or more, by so many threads before
 * the call returns.
 */
holdfast_status holdfast_segment_restore(holdfast_guest guest, const char *name,
                                         const char *path,
                                         uint32_t prefetch_threads,
                                         holdfast_segment *segment);

/** Closes a segment. Its memory is the guest's until it is unmapped everywhere. */
holdfast_status holdfast_segment_close(holdfast_segment segment);

/** Accesses, to be combined. */
enum {
  HOLDFAST_READ = 1u << 0,
  HOLDFAST_WRITE = 1u << 1,
  HOLDFAST_EXECUTE = 1u << 2,
};

/** How holdfast_map() maps. */
enum {
  /** Wired: resident, zero, in the page tables, never to fault. */
  HOLDFAST_MAP_WIRED = 1u << 0,
};

/**
 * Maps a part of a segment at a guest address. The segment may be another guest's of the same
 * arena, whose memory both then have.
 *
 * Stores a receipt, which the caller closes, unless `receipt` is null. If the call fails, nothing
 * is mapped.
 */
holdfast_status holdfast_map(holdfast_guest guest, holdfast_segment segment, uint64_t address,
                             uint64_t offset, uint64_t length, uint32_t protection, uint32_t flags,
                             holdfast_receipt *receipt);

/** Changes what accesses are allowed to mapped memory. */
holdfast_status holdfast_protect(holdfast_guest guest, uint64_t address, uint64_t length,
                                 uint32_t protection);

/** Wires mapped memory. Stores a receipt unless `receipt` is null. */
holdfast_status holdfast_wire(holdfast_guest guest, uint64_t address, uint64_t length,
                              holdfast_receipt *receipt);

/**
 * Removes one wiring. The pages stay resident and mapped, and parts that are not wired stay as they
 * are.
 */
holdfast_status holdfast_unwire(holdfast_guest guest, uint64_t address, uint64_t length);

/**
 * Removes all mappings of a range, wired or not. Other guests may get the pages at once: end the
 * accesses of devices before, or hold the pages.
 */
holdfast_status holdfast_unmap(holdfast_guest guest, uint64_t address, uint64_t length);

/** What of a range is resident. */
struct holdfast_residency {
  uint64_t struct_size;
  uint64_t resident;
  /** Bytes of these that other guests share until one of them writes. */
  uint64_t shared;
};

/** Tells what of a range is resident. */
holdfast_status holdfast_residency(holdfast_guest guest, uint64_t address, uint64_t length,
                                   struct holdfast_residency *residency);

/* --- Holding pages -------------------------------------------------------------------------- */

/**
 * Makes pages resident and holds them, for an access by the kernel or a device that outlasts a call
 * (O_DIRECT, io_uring, vhost, VFIO). No other guest gets them before the hold is released, whatever
 * happens to the guest. `access` is what the device does.
 */
holdfast_status holdfast_hold_pages(holdfast_guest guest, uint64_t address, uint64_t length,
                                    uint32_t access, holdfast_hold *hold);

/** Ends a hold, and closes its handle. */
holdfast_status holdfast_hold_release(holdfast_hold hold);

/* --- Receipts ------------------------------------------------------------------------------- */

/** What a wired map obtained. */
struct holdfast_receipt_info {
  uint64_t struct_size;
  uint64_t requested;
  uint64_t resident;
  uint64_t wired;
  uint64_t locked;
  /** New bytes that were zero before the call. */
  uint64_t zeroed_ahead;
  /** New bytes that the call zeroed. */
  uint64_t zeroed_now;
  uint64_t nanoseconds;
};

/** Tells what a receipt says. */
holdfast_status holdfast_receipt_info(holdfast_receipt receipt,
                                      struct holdfast_receipt_info *info);

/** The receipt as JSON, with the keys of `holdfast wire --format json`. */
holdfast_status holdfast_receipt_json(holdfast_receipt receipt,
                                      char **json);

/** What the kernel has, compared with a receipt. */
struct holdfast_verification {
  uint64_t struct_size;
  /** Not 0 if nothing contradicts the receipt. */
  uint64_t is_verified;
  /** Bytes in the kernel's page tables. */
  uint64_t present;
  uint64_t resident;
  uint64_t locked;
  /** Not 0 if the host's frame numbers were compared too (CAP_SYS_ADMIN). */
  uint64_t compared_frames;
  /** How many contradictions were found; the JSON has them. */
  uint64_t problems;
};

/** Compares a receipt with the kernel's view. The guest must not be gone. */
holdfast_status holdfast_receipt_verify(holdfast_receipt receipt,
                                        struct holdfast_verification *verification);

/** The same as JSON. */
holdfast_status holdfast_receipt_verify_json(holdfast_receipt receipt,
                                             char **json);

/** Closes a receipt. */
holdfast_status holdfast_receipt_close(holdfast_receipt receipt);

/* --- Forks and snapshots -------------------------------------------------------------------- */

/** What a fork shares. */
struct holdfast_fork_info {
  uint64_t struct_size;
  uint64_t resident;
  uint64_t shared;
  /** Bytes that were copied, because the parent has them wired or held. */
  uint64_t copied;
  uint64_t nanoseconds;
};

/**
 * Makes a guest with the same memory, which both share until one of them writes. The guest must
 * have demand paging. Stop its processors for the time of the call. `info` may be null. At most
 * 1,024 generations of forks live; the next one is HOLDFAST_RESOURCE_SHORTAGE.
 */
holdfast_status holdfast_guest_fork(holdfast_guest guest, holdfast_guest *child,
                                    struct holdfast_fork_info *info);

/** What a snapshot wrote. */
struct holdfast_snapshot_info {
  uint64_t struct_size;
  uint64_t size;
  uint64_t written;
  uint64_t nanoseconds;
};

/**
 * Saves a range to a file, a raw image with holes where memory is zero. The file gets its name when
 * it is complete and on its disk. `progress` and `info` may be null.
 */
holdfast_status holdfast_guest_save(holdfast_guest guest, uint64_t address, uint64_t length,
                                    const char *path,
                                    holdfast_progress progress,
                                    void *progress_context,
                                    struct holdfast_snapshot_info *info);

/* --- Leases of a reservoir ------------------------------------------------------------------ */

/** How to lease ready memory. */
struct holdfast_lease_options {
  uint64_t struct_size;
  uint64_t size;
  /** The file system that has the reservoir, or null for the only one. */
  const char *mount;
  /** The socket of its service, or null for the owner's way by files. */
  const char *socket;
  /** The lease's name, or null for one that is made. */
  const char *name;
  /** HOLDFAST_NODE of the node, or 0 for any. */
  uint64_t node;
  /** How long to wait for ready memory. */
  uint64_t timeout_nanoseconds;
  /** Not 0: no file that is larger. */
  uint32_t is_exact;
  /** Not 0: a smaller file is extended. */
  uint32_t grows;
  /** Not 0: the lease ends when its descriptor is closed in all processes. */
  uint32_t is_held;
  uint32_t reserved;
  /** Cancels the wait; id 0 for none. */
  holdfast_token token;
};

/** Leases ready memory. */
holdfast_status holdfast_lease_create(const struct holdfast_lease_options *options,
                                      holdfast_lease *lease);

/** What was leased. */
struct holdfast_lease_info {
  uint64_t struct_size;
  uint64_t size;
  uint64_t page_size;
  /** HOLDFAST_NODE of its node, or 0 if unknown. */
  uint64_t node;
  uint64_t is_held;
  /** Not 0 if no other process had the file open or mapped when it was leased. */
  uint64_t is_exclusive;
  uint64_t nanoseconds;
};

/** Tells what was leased. */
holdfast_status holdfast_lease_info(holdfast_lease lease,
                                    struct holdfast_lease_info *info);

/** The path of the leased file, for a monitor that takes memory by path. */
holdfast_status holdfast_lease_path(holdfast_lease lease,
                                    char **path);

/**
 * The name of the lease, to release it by.
 */
holdfast_status holdfast_lease_name(holdfast_lease lease,
                                    char **name);

/**
 * A descriptor of the leased file, close-on-exec, which the caller closes. A held lease ends with
 * the last of its descriptors, the library's included.
 */
holdfast_status holdfast_lease_descriptor(holdfast_lease lease, int *descriptor);

/** Makes an arena of a lease. The arena has the file from then on. */
holdfast_status holdfast_lease_adopt(holdfast_lease lease, holdfast_arena *arena);

/**
 * Ends a lease by its name. `mount` and `socket` are as in holdfast_lease_options. Unmap the memory
 * and close its descriptors first.
 */
holdfast_status holdfast_lease_release(const char *mount,
                                       const char *socket,
                                       const char *name);

/**
 * Closes the handle and the library's descriptor. A held lease ends, if no other process has its
 * descriptor and no arena its file; another lease stays until it is released.
 */
holdfast_status holdfast_lease_close(holdfast_lease lease);

#ifdef __cplusplus
}
#endif

#endif
