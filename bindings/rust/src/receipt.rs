use crate::error::{check, text};
use crate::handle::{handle, sized};
use crate::{sys, Result};
use std::time::Duration;

handle! {
    /// What a map or a wiring obtained.
    Receipt, holdfast_receipt, holdfast_receipt_close
}

/// What a receipt says, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReceiptInfo {
    /// The length of the range.
    pub requested: u64,
    /// Bytes that are resident.
    pub resident: u64,
    /// Bytes that are wired.
    pub wired: u64,
    /// Bytes that the kernel will not reclaim.
    pub locked: u64,
    /// New bytes that were zero before the call.
    pub zeroed_ahead: u64,
    /// New bytes that the call zeroed.
    pub zeroed_now: u64,
    /// How long it took.
    pub duration: Duration,
}

/// What the kernel has, compared with a receipt; in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verification {
    /// Whether nothing contradicts the receipt.
    pub is_verified: bool,
    /// Bytes in the kernel's page tables.
    pub present: u64,
    /// Bytes that are resident.
    pub resident: u64,
    /// Bytes that are locked.
    pub locked: u64,
    /// Whether the host's frame numbers were compared too (CAP_SYS_ADMIN).
    pub compared_frames: bool,
    /// How many contradictions were found; the JSON has them.
    pub problems: u64,
}

impl Receipt {
    /// What the receipt says.
    pub fn info(&self) -> Result<ReceiptInfo> {
        let mut info = sized!(holdfast_receipt_info {
            requested,
            resident,
            wired,
            locked,
            zeroed_ahead,
            zeroed_now,
            nanoseconds
        });
        // SAFETY: the pointer is valid for the call, and the size is the structure's.
        check(unsafe { sys::holdfast_receipt_info(self.raw(), &mut info) })?;
        Ok(ReceiptInfo {
            requested: info.requested,
            resident: info.resident,
            wired: info.wired,
            locked: info.locked,
            zeroed_ahead: info.zeroed_ahead,
            zeroed_now: info.zeroed_now,
            duration: Duration::from_nanos(info.nanoseconds),
        })
    }

    /// The receipt as JSON, with the keys of `holdfast wire --format json`.
    pub fn json(&self) -> Result<String> {
        // SAFETY: the pointer is valid for the call.
        text(|json| unsafe { sys::holdfast_receipt_json(self.raw(), json) })
    }

    /// Compares the receipt with the kernel's view. The guest must not be gone.
    pub fn verify(&self) -> Result<Verification> {
        let mut found = sized!(holdfast_verification {
            is_verified,
            present,
            resident,
            locked,
            compared_frames,
            problems
        });
        // SAFETY: the pointer is valid for the call, and the size is the structure's.
        check(unsafe { sys::holdfast_receipt_verify(self.raw(), &mut found) })?;
        Ok(Verification {
            is_verified: found.is_verified != 0,
            present: found.present,
            resident: found.resident,
            locked: found.locked,
            compared_frames: found.compared_frames != 0,
            problems: found.problems,
        })
    }

    /// The same as JSON.
    pub fn verify_json(&self) -> Result<String> {
        // SAFETY: the pointer is valid for the call.
        text(|json| unsafe { sys::holdfast_receipt_verify_json(self.raw(), json) })
    }
}
