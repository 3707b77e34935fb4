//! The functions and structures of holdfast.h, under their names there. What they do is said there,
//! and the safe types of this crate say it again. A test compares this file with the header.

#![allow(non_camel_case_types)]

use std::os::raw::{c_char, c_int, c_void};

pub type holdfast_status = i32;
/// Null is `None`.
pub type holdfast_progress =
    Option<unsafe extern "C" fn(context: *mut c_void, done: u64, total: u64)>;

pub const HOLDFAST_OK: holdfast_status = 0;
pub const HOLDFAST_INVALID_ADDRESS: holdfast_status = 1;
pub const HOLDFAST_INVALID_ARGUMENT: holdfast_status = 2;
pub const HOLDFAST_PROTECTION_FAILURE: holdfast_status = 3;
pub const HOLDFAST_NO_SPACE: holdfast_status = 4;
pub const HOLDFAST_RESOURCE_SHORTAGE: holdfast_status = 5;
pub const HOLDFAST_PAGER_FAILURE: holdfast_status = 6;
pub const HOLDFAST_ALREADY_EXISTS: holdfast_status = 7;
pub const HOLDFAST_BUSY: holdfast_status = 8;
pub const HOLDFAST_CANCELLED: holdfast_status = 9;
pub const HOLDFAST_NOT_PERMITTED: holdfast_status = 10;
pub const HOLDFAST_UNSUPPORTED: holdfast_status = 11;
pub const HOLDFAST_HOST: holdfast_status = 12;
pub const HOLDFAST_GUEST_FAULT: holdfast_status = 13;
pub const HOLDFAST_NO_RESERVOIR: holdfast_status = 14;
pub const HOLDFAST_NO_LEASE: holdfast_status = 15;
pub const HOLDFAST_NO_READY_MEMORY: holdfast_status = 16;
pub const HOLDFAST_UNTRUSTED: holdfast_status = 17;
pub const HOLDFAST_NO_TEMPLATE: holdfast_status = 18;
pub const HOLDFAST_INVALID_HANDLE: holdfast_status = 100;
pub const HOLDFAST_FOREIGN_PROCESS: holdfast_status = 101;
pub const HOLDFAST_HOST_KVM: u64 = 1 << 0;
pub const HOLDFAST_HOST_DEMAND_PAGING: u64 = 1 << 1;
pub const HOLDFAST_HOST_SHARED_THP: u64 = 1 << 2;
pub const HOLDFAST_HOST_PRIVATE_THP: u64 = 1 << 3;
pub const HOLDFAST_FOR_WIRING: u32 = 0;
pub const HOLDFAST_FOR_PAGING: u32 = 1;
pub const HOLDFAST_FOR_FORKING: u32 = 2;
pub const HOLDFAST_BACKING_BEST: u32 = 0;
pub const HOLDFAST_BACKING_HUGETLB_1G: u32 = 1;
pub const HOLDFAST_BACKING_HUGETLB_2M: u32 = 2;
pub const HOLDFAST_BACKING_THP: u32 = 3;
pub const HOLDFAST_BACKING_THP_PRIVATE: u32 = 4;
pub const HOLDFAST_BACKING_BASE: u32 = 5;
pub const HOLDFAST_GUEST_ANY: u32 = 0;
pub const HOLDFAST_GUEST_MAPPING: u32 = 1;
pub const HOLDFAST_GUEST_WIRING: u32 = 2;
pub const HOLDFAST_FAULT_LARGE_PAGE: u32 = 0;
pub const HOLDFAST_FAULT_BASE_PAGE: u32 = 1;
pub const HOLDFAST_FAILED_FAULT_PAUSE: u32 = 0;
pub const HOLDFAST_FAILED_FAULT_REFUSE: u32 = 1;
pub const HOLDFAST_READ: u32 = 1 << 0;
pub const HOLDFAST_WRITE: u32 = 1 << 1;
pub const HOLDFAST_EXECUTE: u32 = 1 << 2;
pub const HOLDFAST_MAP_WIRED: u32 = 1 << 0;

#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct holdfast_token {
    pub id: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct holdfast_arena {
    pub id: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct holdfast_guest {
    pub id: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct holdfast_segment {
    pub id: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct holdfast_receipt {
    pub id: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct holdfast_hold {
    pub id: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct holdfast_lease {
    pub id: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct holdfast_host {
    pub struct_size: u64,
    pub features: u64,
    pub available: u64,
    pub total: u64,
    pub free_2m: u64,
    pub free_1g: u64,
    pub processors: u64,
    pub nodes: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct holdfast_arena_options {
    pub struct_size: u64,
    pub size: u64,
    pub purpose: u32,
    pub backing: u32,
    pub threads: u32,
    pub reserved: u32,
    pub node: u64,
    pub progress: holdfast_progress,
    pub progress_context: *mut c_void,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct holdfast_arena_info {
    pub struct_size: u64,
    pub size: u64,
    pub page_size: u64,
    pub free: u64,
    pub zeroed: u64,
    pub locked: u64,
    pub nanoseconds: u64,
    pub backing: u32,
    pub threads: u32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct holdfast_guest_options {
    pub struct_size: u64,
    pub limit: u64,
    pub wired_limit: u64,
    pub purpose: u32,
    pub demand_paging: u32,
    pub granularity: u32,
    pub failed_fault: u32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct holdfast_guest_info {
    pub struct_size: u64,
    pub host_address: u64,
    pub limit: u64,
    pub is_direct: u64,
    pub faults: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct holdfast_residency {
    pub struct_size: u64,
    pub resident: u64,
    pub shared: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct holdfast_receipt_info {
    pub struct_size: u64,
    pub requested: u64,
    pub resident: u64,
    pub wired: u64,
    pub locked: u64,
    pub zeroed_ahead: u64,
    pub zeroed_now: u64,
    pub nanoseconds: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct holdfast_verification {
    pub struct_size: u64,
    pub is_verified: u64,
    pub present: u64,
    pub resident: u64,
    pub locked: u64,
    pub compared_frames: u64,
    pub problems: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct holdfast_fork_info {
    pub struct_size: u64,
    pub resident: u64,
    pub shared: u64,
    pub copied: u64,
    pub nanoseconds: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct holdfast_snapshot_info {
    pub struct_size: u64,
    pub size: u64,
    pub written: u64,
    pub nanoseconds: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct holdfast_lease_options {
    pub struct_size: u64,
    pub size: u64,
    pub mount: *const c_char,
    pub socket: *const c_char,
    pub name: *const c_char,
    pub node: u64,
    pub timeout_nanoseconds: u64,
    pub is_exact: u32,
    pub grows: u32,
    pub is_held: u32,
    pub reserved: u32,
    pub token: holdfast_token,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct holdfast_lease_info {
    pub struct_size: u64,
    pub size: u64,
    pub page_size: u64,
    pub node: u64,
    pub is_held: u64,
    pub is_exclusive: u64,
    pub nanoseconds: u64,
}

extern "C" {
    pub fn holdfast_version() -> u32;
    pub fn holdfast_error_message() -> *const c_char;
    pub fn holdfast_error_json() -> *const c_char;
    pub fn holdfast_status_name(status: holdfast_status) -> *const c_char;
    pub fn holdfast_text_free(text: *mut c_char) -> c_void;
    pub fn holdfast_token_create(token: *mut holdfast_token) -> holdfast_status;
    pub fn holdfast_token_cancel(token: holdfast_token) -> holdfast_status;
    pub fn holdfast_token_close(token: holdfast_token) -> holdfast_status;
    pub fn holdfast_host_probe(host: *mut holdfast_host) -> holdfast_status;
    pub fn holdfast_host_json(json: *mut *mut c_char) -> holdfast_status;
    pub fn holdfast_arena_create(
        options: *const holdfast_arena_options,
        arena: *mut holdfast_arena,
    ) -> holdfast_status;
    pub fn holdfast_arena_adopt(
        descriptor: c_int,
        node: u64,
        arena: *mut holdfast_arena,
    ) -> holdfast_status;
    pub fn holdfast_arena_info(
        arena: holdfast_arena,
        info: *mut holdfast_arena_info,
    ) -> holdfast_status;
    pub fn holdfast_arena_scrub(arena: holdfast_arena) -> holdfast_status;
    pub fn holdfast_arena_close(arena: holdfast_arena) -> holdfast_status;
    pub fn holdfast_guest_create(
        arena: holdfast_arena,
        options: *const holdfast_guest_options,
        guest: *mut holdfast_guest,
    ) -> holdfast_status;
    pub fn holdfast_guest_info(
        guest: holdfast_guest,
        info: *mut holdfast_guest_info,
    ) -> holdfast_status;
    pub fn holdfast_guest_retry_faults(guest: holdfast_guest) -> holdfast_status;
    pub fn holdfast_guest_host_address(
        guest: holdfast_guest,
        address: u64,
        length: u64,
        pointer: *mut *mut c_void,
    ) -> holdfast_status;
    pub fn holdfast_guest_read(
        guest: holdfast_guest,
        address: u64,
        bytes: *mut c_void,
        length: u64,
    ) -> holdfast_status;
    pub fn holdfast_guest_write(
        guest: holdfast_guest,
        address: u64,
        bytes: *const c_void,
        length: u64,
    ) -> holdfast_status;
    pub fn holdfast_guest_close(guest: holdfast_guest) -> holdfast_status;
    pub fn holdfast_segment_create(
        guest: holdfast_guest,
        name: *const c_char,
        size: u64,
        segment: *mut holdfast_segment,
    ) -> holdfast_status;
    pub fn holdfast_segment_restore(
        guest: holdfast_guest,
        name: *const c_char,
        path: *const c_char,
        prefetch_threads: u32,
        segment: *mut holdfast_segment,
    ) -> holdfast_status;
    pub fn holdfast_segment_close(segment: holdfast_segment) -> holdfast_status;
    pub fn holdfast_map(
        guest: holdfast_guest,
        segment: holdfast_segment,
        address: u64,
        offset: u64,
        length: u64,
        protection: u32,
        flags: u32,
        receipt: *mut holdfast_receipt,
    ) -> holdfast_status;
    pub fn holdfast_protect(
        guest: holdfast_guest,
        address: u64,
        length: u64,
        protection: u32,
    ) -> holdfast_status;
    pub fn holdfast_wire(
        guest: holdfast_guest,
        address: u64,
        length: u64,
        receipt: *mut holdfast_receipt,
    ) -> holdfast_status;
    pub fn holdfast_unwire(guest: holdfast_guest, address: u64, length: u64) -> holdfast_status;
    pub fn holdfast_unmap(guest: holdfast_guest, address: u64, length: u64) -> holdfast_status;
    pub fn holdfast_residency(
        guest: holdfast_guest,
        address: u64,
        length: u64,
        residency: *mut holdfast_residency,
    ) -> holdfast_status;
    pub fn holdfast_hold_pages(
        guest: holdfast_guest,
        address: u64,
        length: u64,
        access: u32,
        hold: *mut holdfast_hold,
    ) -> holdfast_status;
    pub fn holdfast_hold_release(hold: holdfast_hold) -> holdfast_status;
    pub fn holdfast_receipt_info(
        receipt: holdfast_receipt,
        info: *mut holdfast_receipt_info,
    ) -> holdfast_status;
    pub fn holdfast_receipt_json(
        receipt: holdfast_receipt,
        json: *mut *mut c_char,
    ) -> holdfast_status;
    pub fn holdfast_receipt_verify(
        receipt: holdfast_receipt,
        verification: *mut holdfast_verification,
    ) -> holdfast_status;
    pub fn holdfast_receipt_verify_json(
        receipt: holdfast_receipt,
        json: *mut *mut c_char,
    ) -> holdfast_status;
    pub fn holdfast_receipt_close(receipt: holdfast_receipt) -> holdfast_status;
    pub fn holdfast_guest_fork(
        guest: holdfast_guest,
        child: *mut holdfast_guest,
        info: *mut holdfast_fork_info,
    ) -> holdfast_status;
    pub fn holdfast_guest_save(
        guest: holdfast_guest,
        address: u64,
        length: u64,
        path: *const c_char,
        progress: holdfast_progress,
        progress_context: *mut c_void,
        info: *mut holdfast_snapshot_info,
    ) -> holdfast_status;
    pub fn holdfast_lease_create(
        options: *const holdfast_lease_options,
        lease: *mut holdfast_lease,
    ) -> holdfast_status;
    pub fn holdfast_lease_info(
        lease: holdfast_lease,
        info: *mut holdfast_lease_info,
    ) -> holdfast_status;
    pub fn holdfast_lease_path(lease: holdfast_lease, path: *mut *mut c_char) -> holdfast_status;
    pub fn holdfast_lease_name(lease: holdfast_lease, name: *mut *mut c_char) -> holdfast_status;
    pub fn holdfast_lease_descriptor(
        lease: holdfast_lease,
        descriptor: *mut c_int,
    ) -> holdfast_status;
    pub fn holdfast_lease_adopt(
        lease: holdfast_lease,
        arena: *mut holdfast_arena,
    ) -> holdfast_status;
    pub fn holdfast_lease_release(
        mount: *const c_char,
        socket: *const c_char,
        name: *const c_char,
    ) -> holdfast_status;
    pub fn holdfast_lease_close(lease: holdfast_lease) -> holdfast_status;
}
