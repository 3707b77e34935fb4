//! Memory for virtual machines: wired in microseconds, paged on demand, forked.
//!
//! An [`Arena`] is populated memory of the host that guests share. A [`Guest`] is a range of guest
//! addresses from 0 and the window in this process at which the monitor, KVM and devices access it.
//! A [`Segment`] is RAM that is mapped there, wired or paged on demand; a [`Receipt`] says what a
//! map obtained. A [`Lease`] is ready memory of a reservoir, which another process keeps.
//!
//! ```no_run
//! use holdfast::{ArenaOptions, GuestOptions, Map, Protection};
//!
//! # fn main() -> Result<(), holdfast::Error> {
//! let arena = ArenaOptions::new(256 << 20).create()?;
//! let guest = GuestOptions::new(256 << 20).create(&arena)?;
//! let ram = guest.segment("ram", 256 << 20)?;
//! let receipt = guest.map(&ram, 0, 0, 256 << 20, Protection::ALL, Map::Wired)?;
//! println!("{}", receipt.json()?);
//! # Ok(())
//! # }
//! ```
//!
//! The types are handles of libholdfast. They are `Send` and `Sync`, since each function of the
//! library may be called from any thread, and the order in which they are dropped is free, since
//! objects keep what they need. In a child of fork(2) every call fails with
//! [`Code::ForeignProcess`] and a drop does nothing.
//!
//! Memory that a guest can write is never a reference: bytes are copied ([`Guest::read`],
//! [`Guest::write`]), or accessed by a raw pointer ([`Guest::host_address`]) or, with the feature
//! `vm-memory`, through rust-vmm's `GuestMemoryMmap`.

#![deny(unsafe_op_in_unsafe_fn, missing_docs)]

#[cfg(feature = "vm-memory")]
mod adapter;
mod arena;
mod error;
mod guest;
mod handle;
mod hold;
mod host;
mod lease;
mod progress;
mod receipt;
mod segment;
#[allow(missing_docs)]
pub mod sys;
mod token;

#[cfg(feature = "vm-memory")]
pub use adapter::{GuestMemory, KeepsGuest};
pub use arena::{Arena, ArenaInfo, ArenaOptions, Backing, Purpose};
pub use error::{Code, Error, Result};
pub use guest::{
    FailedFault, ForkInfo, Granularity, Guest, GuestInfo, GuestOptions, GuestPurpose, Map,
    Protection, Residency, SnapshotInfo,
};
pub use hold::Hold;
pub use host::Host;
pub use lease::{Lease, LeaseInfo, LeaseOptions, Place};
pub use receipt::{Receipt, ReceiptInfo, Verification};
pub use segment::Segment;
pub use token::Token;

/// The version of the library: major, minor, patch.
pub fn version() -> (u8, u8, u8) {
    // SAFETY: the function has no preconditions.
    let version = unsafe { sys::holdfast_version() };
    ((version >> 16) as u8, (version >> 8) as u8, version as u8)
}
