use crate::arena::length;
use crate::error::{c_text, check};
use crate::handle::{handle, size, sized};
use crate::progress::Progress;
use crate::{sys, Arena, Error, Hold, Receipt, Result, Segment};
use std::ops::{BitOr, BitOrAssign};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

handle! {
    /// A guest's memory: a range of guest addresses, from 0 to a limit, and the window in this
    /// process at which it is accessed. The drop removes its mappings, and its pages go back to the
    /// arena: stop its processors and devices before.
    Guest, holdfast_guest, holdfast_guest_close
}

/// Accesses to memory, to be combined with `|`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protection(u32);

impl Protection {
    /// No access.
    pub const NONE: Protection = Protection(0);
    /// Reads.
    pub const READ: Protection = Protection(sys::HOLDFAST_READ);
    /// Writes.
    pub const WRITE: Protection = Protection(sys::HOLDFAST_WRITE);
    /// Execution of instructions.
    pub const EXECUTE: Protection = Protection(sys::HOLDFAST_EXECUTE);
    /// All accesses.
    pub const ALL: Protection =
        Protection(sys::HOLDFAST_READ | sys::HOLDFAST_WRITE | sys::HOLDFAST_EXECUTE);

    /// The bits of holdfast.h.
    pub fn bits(self) -> u32 {
        self.0
    }
}

impl BitOr for Protection {
    type Output = Protection;
    fn bitor(self, other: Protection) -> Protection {
        Protection(self.0 | other.0)
    }
}

impl BitOrAssign for Protection {
    fn bitor_assign(&mut self, other: Protection) {
        self.0 |= other.0;
    }
}

/// How memory is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Map {
    /// Pages come when they are first accessed, which requires demand paging, or when they are
    /// wired.
    OnDemand = 0,
    /// Wired: resident, zero, in the page tables, never to fault.
    Wired = sys::HOLDFAST_MAP_WIRED,
}

/// What a guest does with its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum GuestPurpose {
    /// All that its arena allows.
    Any = sys::HOLDFAST_GUEST_ANY,
    /// It unmaps parts, and maps others.
    Mapping = sys::HOLDFAST_GUEST_MAPPING,
    /// All of it is wired, in one piece, until the guest is gone.
    Wiring = sys::HOLDFAST_GUEST_WIRING,
}

/// How a fault zeroes and copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Granularity {
    /// A huge page, where that is possible.
    LargePage = sys::HOLDFAST_FAULT_LARGE_PAGE,
    /// A base page.
    BasePage = sys::HOLDFAST_FAULT_BASE_PAGE,
}

/// What becomes of a thread whose fault cannot be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum FailedFault {
    /// It waits until [`Guest::retry_faults`] or the end of the guest.
    Pause = sys::HOLDFAST_FAILED_FAULT_PAUSE,
    /// Its access fails: KVM_RUN with EFAULT, a thread of this process with SIGSEGV. A thread that
    /// may not access a wired page waits all the same.
    Refuse = sys::HOLDFAST_FAILED_FAULT_REFUSE,
}

/// How to make a guest.
#[derive(Clone, Debug)]
pub struct GuestOptions {
    limit: u64,
    wired_limit: u64,
    purpose: GuestPurpose,
    has_demand_paging: bool,
    granularity: Granularity,
    failed_fault: FailedFault,
}

impl GuestOptions {
    /// A guest whose addresses end at `limit`, a multiple of the arena's page; without demand
    /// paging.
    pub fn new(limit: u64) -> GuestOptions {
        GuestOptions {
            limit,
            wired_limit: 0,
            purpose: GuestPurpose::Any,
            has_demand_paging: false,
            granularity: Granularity::LargePage,
            failed_fault: FailedFault::Pause,
        }
    }

    /// Sets how many bytes may be wired; 0 for no limit.
    pub fn wired_limit(mut self, bytes: u64) -> GuestOptions {
        self.wired_limit = bytes;
        self
    }

    /// Sets what it does with its memory.
    pub fn purpose(mut self, purpose: GuestPurpose) -> GuestOptions {
        self.purpose = purpose;
        self
    }

    /// Serves page faults, so that memory need not be wired, and can be forked.
    pub fn demand_paging(
        mut self,
        granularity: Granularity,
        failed_fault: FailedFault,
    ) -> GuestOptions {
        self.has_demand_paging = true;
        self.granularity = granularity;
        self.failed_fault = failed_fault;
        self
    }

    /// Makes a guest's memory, without segments.
    pub fn create(&self, arena: &Arena) -> Result<Guest> {
        let options = sys::holdfast_guest_options {
            struct_size: size::<sys::holdfast_guest_options>(),
            limit: self.limit,
            wired_limit: self.wired_limit,
            purpose: self.purpose as u32,
            demand_paging: self.has_demand_paging.into(),
            granularity: self.granularity as u32,
            failed_fault: self.failed_fault as u32,
        };
        // SAFETY: the handle is open, and the pointers are valid for the call.
        Guest::made(|guest| unsafe { sys::holdfast_guest_create(arena.raw(), &options, guest) })
    }
}

/// Where a guest is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GuestInfo {
    /// The address in this process of guest address 0, for KVM's slots.
    pub host_address: u64,
    /// The end of its addresses.
    pub limit: u64,
    /// Whether its memory is in the arena's own mapping, not in a window of its own.
    pub is_direct: bool,
    /// Faults that were served since it was made; 0 without demand paging.
    pub faults: u64,
}

/// What of a range is resident, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Residency {
    /// Bytes that are resident.
    pub resident: u64,
    /// Bytes of these that other guests share until one of them writes.
    pub shared: u64,
}

/// What a fork shares, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ForkInfo {
    /// Bytes that are resident.
    pub resident: u64,
    /// Bytes that both share.
    pub shared: u64,
    /// Bytes that were copied, because the parent has them wired or held.
    pub copied: u64,
    /// How long it took.
    pub duration: Duration,
}

/// What a snapshot wrote, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SnapshotInfo {
    /// The size of the image.
    pub size: u64,
    /// Bytes that are not holes.
    pub written: u64,
    /// How long it took.
    pub duration: Duration,
}

/// A path for the library, which takes UTF-8 alone.
fn c_path(path: &Path) -> Result<std::ffi::CString> {
    match std::str::from_utf8(path.as_os_str().as_bytes()) {
        Ok(text) => c_text(text),
        Err(_) => Err(Error::invalid_argument("a path is not UTF-8")),
    }
}

impl Guest {
    /// Where the guest is.
    pub fn info(&self) -> Result<GuestInfo> {
        let mut info = sized!(holdfast_guest_info { host_address, limit, is_direct, faults });
        // SAFETY: the pointer is valid for the call, and the size is the structure's.
        check(unsafe { sys::holdfast_guest_info(self.raw(), &mut info) })?;
        Ok(GuestInfo {
            host_address: info.host_address,
            limit: info.limit,
            is_direct: info.is_direct != 0,
            faults: info.faults,
        })
    }

    /// Serves the faults again that could not be served, and whose threads wait.
    pub fn retry_faults(&self) -> Result<()> {
        // SAFETY: the handle is open.
        check(unsafe { sys::holdfast_guest_retry_faults(self.raw()) })
    }

    /// The address in this process of a range below the guest's limit, any address and length.
    ///
    /// It stays valid until the guest is gone. What is there changes with what is mapped, the guest
    /// may write it at any time, and where nothing is mapped an access raises SIGSEGV.
    pub fn host_address(&self, address: u64, length: u64) -> Result<*mut u8> {
        let mut pointer = std::ptr::null_mut();
        // SAFETY: the handle is open, and the pointer is valid for the call.
        check(unsafe {
            sys::holdfast_guest_host_address(self.raw(), address, length, &mut pointer)
        })?;
        Ok(pointer.cast())
    }

    /// Copies bytes from guest memory, any address and length. Pages that are absent read as zeros,
    /// and no fault is raised.
    pub fn read(&self, address: u64, bytes: &mut [u8]) -> Result<()> {
        let count = length(bytes.len())?;
        // SAFETY: the handle is open, and the slice has `count` bytes for the call.
        check(unsafe {
            sys::holdfast_guest_read(self.raw(), address, bytes.as_mut_ptr().cast(), count)
        })
    }

    /// Copies bytes to guest memory, any address and length.
    pub fn write(&self, address: u64, bytes: &[u8]) -> Result<()> {
        let count = length(bytes.len())?;
        // SAFETY: the handle is open, and the slice has `count` bytes for the call.
        check(unsafe {
            sys::holdfast_guest_write(self.raw(), address, bytes.as_ptr().cast(), count)
        })
    }

    /// Makes a segment of absent pages. Its name is for messages, and one of the guest's only.
    pub fn segment(&self, name: &str, size: u64) -> Result<Segment> {
        let name = c_text(name)?;
        // SAFETY: the handle is open, and the pointers are valid for the call.
        Segment::made(|segment| unsafe {
            sys::holdfast_segment_create(self.raw(), name.as_ptr(), size, segment)
        })
    }

    /// Makes a segment of a file, such as one that [`Guest::save`] wrote. Pages are read when they
    /// are first accessed or wired or, with `prefetch_threads` of 1 or more, by so many threads
    /// before the call returns.
    pub fn restore(
        &self,
        name: &str,
        path: impl AsRef<Path>,
        prefetch_threads: u32,
    ) -> Result<Segment> {
        let (name, path) = (c_text(name)?, c_path(path.as_ref())?);
        // SAFETY: the handle is open, and the pointers are valid for the call.
        Segment::made(|segment| unsafe {
            sys::holdfast_segment_restore(
                self.raw(),
                name.as_ptr(),
                path.as_ptr(),
                prefetch_threads,
                segment,
            )
        })
    }

    /// Maps `length` bytes of a segment from `offset` at a guest address. The segment may be
    /// another guest's of the same arena, whose memory both then have.
    pub fn map(
        &self,
        segment: &Segment,
        address: u64,
        offset: u64,
        length: u64,
        protection: Protection,
        how: Map,
    ) -> Result<Receipt> {
        // SAFETY: the handles are open, and the pointer is valid for the call.
        Receipt::made(|receipt| unsafe {
            sys::holdfast_map(
                self.raw(),
                segment.raw(),
                address,
                offset,
                length,
                protection.bits(),
                how as u32,
                receipt,
            )
        })
    }

    /// Changes what accesses are allowed to mapped memory.
    pub fn protect(&self, address: u64, length: u64, protection: Protection) -> Result<()> {
        // SAFETY: the handle is open.
        check(unsafe { sys::holdfast_protect(self.raw(), address, length, protection.bits()) })
    }

    /// Wires mapped memory.
    pub fn wire(&self, address: u64, length: u64) -> Result<Receipt> {
        // SAFETY: the handle is open, and the pointer is valid for the call.
        Receipt::made(|receipt| unsafe { sys::holdfast_wire(self.raw(), address, length, receipt) })
    }

    /// Removes one wiring. The pages stay resident and mapped.
    pub fn unwire(&self, address: u64, length: u64) -> Result<()> {
        // SAFETY: the handle is open.
        check(unsafe { sys::holdfast_unwire(self.raw(), address, length) })
    }

    /// Removes all mappings of a range, wired or not. Other guests may get the pages at once: end
    /// the accesses of devices before, or [`hold`](Guest::hold) the pages.
    pub fn unmap(&self, address: u64, length: u64) -> Result<()> {
        // SAFETY: the handle is open.
        check(unsafe { sys::holdfast_unmap(self.raw(), address, length) })
    }

    /// What of a range is resident.
    pub fn residency(&self, address: u64, length: u64) -> Result<Residency> {
        let mut found = sized!(holdfast_residency { resident, shared });
        // SAFETY: the pointer is valid for the call, and the size is the structure's.
        check(unsafe { sys::holdfast_residency(self.raw(), address, length, &mut found) })?;
        Ok(Residency { resident: found.resident, shared: found.shared })
    }

    /// Makes pages resident and holds them, for an access by the kernel or a device that outlasts a
    /// call (O_DIRECT, io_uring, vhost, VFIO). `access` is what the device does.
    pub fn hold(&self, address: u64, length: u64, access: Protection) -> Result<Hold> {
        // SAFETY: the handle is open, and the pointer is valid for the call.
        Hold::made(|hold| unsafe {
            sys::holdfast_hold_pages(self.raw(), address, length, access.bits(), hold)
        })
    }

    /// Makes a guest with the same memory, which both share until one of them writes. The guest
    /// must have demand paging. Stop its processors for the time of the call.
    pub fn fork(&self) -> Result<(Guest, ForkInfo)> {
        let mut info = sized!(holdfast_fork_info { resident, shared, copied, nanoseconds });
        // SAFETY: the handle is open, and the pointers are valid for the call.
        let child =
            Guest::made(|child| unsafe { sys::holdfast_guest_fork(self.raw(), child, &mut info) })?;
        let info = ForkInfo {
            resident: info.resident,
            shared: info.shared,
            copied: info.copied,
            duration: Duration::from_nanos(info.nanoseconds),
        };
        Ok((child, info))
    }

    /// Saves a range to a file, a raw image with holes where memory is zero. The file gets its name
    /// when it is complete and on its disk.
    pub fn save(&self, address: u64, length: u64, path: impl AsRef<Path>) -> Result<SnapshotInfo> {
        self.save_image(address, length, path.as_ref(), Progress::new(None))
    }

    /// The same, and calls a function with the bytes that are saved and all of them, from any
    /// thread. A panic of the function goes on when the call has ended.
    pub fn save_with(
        &self,
        address: u64,
        length: u64,
        path: impl AsRef<Path>,
        mut progress: impl FnMut(u64, u64) + Send,
    ) -> Result<SnapshotInfo> {
        self.save_image(address, length, path.as_ref(), Progress::new(Some(&mut progress)))
    }

    fn save_image(
        &self,
        address: u64,
        length: u64,
        path: &Path,
        progress: Progress,
    ) -> Result<SnapshotInfo> {
        let path = c_path(path)?;
        let mut info = sized!(holdfast_snapshot_info { size, written, nanoseconds });
        check(progress.during(|function, context| {
            let path = path.as_ptr();
            // SAFETY: the handle is open; the pointers are valid for the call, as is the context.
            unsafe {
                sys::holdfast_guest_save(
                    self.raw(),
                    address,
                    length,
                    path,
                    function,
                    context,
                    &mut info,
                )
            }
        }))?;
        Ok(SnapshotInfo {
            size: info.size,
            written: info.written,
            duration: Duration::from_nanos(info.nanoseconds),
        })
    }
}
