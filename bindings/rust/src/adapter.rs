//! Guests and leases as rust-vmm's `GuestMemoryMmap`.

use crate::{Error, Guest, Lease, Result};
use std::fs::File;
use std::sync::Arc;
use vm_memory::bitmap::{Bitmap, WithBitmapSlice};
use vm_memory::mmap::MmapRegionBuilder;
use vm_memory::{FileOffset, GuestAddress, GuestMemoryMmap, GuestRegionMmap};

/// A guest's memory for programs that take vm-memory's `GuestMemory` or `GuestMemoryMmap<B>`.
pub type GuestMemory = GuestMemoryMmap<KeepsGuest>;

/// What keeps a guest as long as a region of its memory: vm-memory keeps a bitmap with each region,
/// and this one records nothing. Copies of the memory share the regions.
#[derive(Clone, Debug)]
pub struct KeepsGuest(Arc<Guest>);

impl KeepsGuest {
    /// The guest.
    pub fn guest(&self) -> &Arc<Guest> {
        &self.0
    }
}

impl WithBitmapSlice<'_> for KeepsGuest {
    // A slice borrows from its region, which keeps the guest.
    type S = ();
}

impl Bitmap for KeepsGuest {
    fn mark_dirty(&self, _offset: usize, _length: usize) {}

    fn dirty_at(&self, _offset: usize) -> bool {
        false
    }

    fn slice_at(&self, _offset: usize) {}
}

fn refused(error: impl std::fmt::Display) -> Error {
    Error::invalid_argument(&format!("vm-memory refused the memory: {error}"))
}

impl Guest {
    /// The guest's memory for vm-memory: a region for each range of guest addresses and bytes,
    /// which must be whole pages below the guest's limit, in ascending order.
    ///
    /// The ranges are to be mapped, for reads and writes, before they are accessed and as long as
    /// they are: an access where nothing is mapped raises SIGSEGV. Pages that are mapped on demand
    /// come with the access. The regions have no file, so vhost-user devices, which need one, take
    /// a lease ([`Lease::vm_memory`]).
    pub fn vm_memory(self: &Arc<Self>, ranges: &[(GuestAddress, usize)]) -> Result<GuestMemory> {
        let mut regions = Vec::with_capacity(ranges.len());
        for &(address, length) in ranges {
            let bytes = crate::arena::length(length)?;
            let start = self.host_address(address.0, bytes)?;
            let builder = MmapRegionBuilder::new_with_bitmap(length, KeepsGuest(Arc::clone(self)))
                .with_mmap_prot(libc::PROT_READ | libc::PROT_WRITE)
                .with_mmap_flags(libc::MAP_SHARED | libc::MAP_NORESERVE);
            // SAFETY: the library has reserved the range of addresses for the guest until it is
            // gone, which is after the region, since the region keeps it. No reference to the
            // memory exists: vm-memory accesses it by volatile and atomic accesses.
            let region =
                unsafe { builder.with_raw_mmap_pointer(start) }.build().map_err(refused)?;
            regions.push(GuestRegionMmap::new(region, address).map_err(refused)?);
        }
        GuestMemoryMmap::from_regions(regions).map_err(refused)
    }
}

impl Lease {
    /// Maps the leased file at ranges of guest addresses, one after another in the file, in
    /// ascending order. They must not exceed it. The memory has a descriptor of its own, so that a
    /// held lease lasts as long as the memory, and vhost-user devices can map it.
    pub fn vm_memory(&self, ranges: &[(GuestAddress, usize)]) -> Result<GuestMemoryMmap> {
        let file = Arc::new(File::from(self.descriptor()?));
        let mut offset = 0u64;
        let mut parts = Vec::with_capacity(ranges.len());
        for &(address, length) in ranges {
            let part = FileOffset::from_arc(Arc::clone(&file), offset);
            parts.push((address, length, Some(part)));
            offset = offset
                .checked_add(crate::arena::length(length)?)
                .ok_or_else(|| Error::invalid_argument("the ranges exceed 64 bits"))?;
        }
        GuestMemoryMmap::from_ranges_with_files(parts).map_err(refused)
    }
}
