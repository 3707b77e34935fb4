use crate::error::check;
use crate::handle::{handle, size, sized};
use crate::progress::Progress;
use crate::{sys, Error, Result};
use std::os::unix::io::{AsFd, AsRawFd};
use std::time::Duration;

handle! {
    /// Populated memory of the host that guests share. It goes back to the host when this and the
    /// guests are gone.
    Arena, holdfast_arena, holdfast_arena_close
}

/// What an arena's guests need, which restricts its pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Purpose {
    /// All memory of the guests is wired.
    Wiring = sys::HOLDFAST_FOR_WIRING,
    /// Page faults are served.
    Paging = sys::HOLDFAST_FOR_PAGING,
    /// Guests are forked.
    Forking = sys::HOLDFAST_FOR_FORKING,
}

/// What an arena is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
#[non_exhaustive]
pub enum Backing {
    /// The best that serves the purpose and is free.
    Best = sys::HOLDFAST_BACKING_BEST,
    /// hugetlbfs pages of 1 GiB.
    Hugetlb1G = sys::HOLDFAST_BACKING_HUGETLB_1G,
    /// hugetlbfs pages of 2 MiB.
    Hugetlb2M = sys::HOLDFAST_BACKING_HUGETLB_2M,
    /// Transparent huge pages of shared memory.
    Thp = sys::HOLDFAST_BACKING_THP,
    /// Transparent huge pages of private memory.
    ThpPrivate = sys::HOLDFAST_BACKING_THP_PRIVATE,
    /// Base pages.
    Base = sys::HOLDFAST_BACKING_BASE,
}

impl Backing {
    fn new(number: u32) -> Backing {
        match number {
            sys::HOLDFAST_BACKING_HUGETLB_1G => Backing::Hugetlb1G,
            sys::HOLDFAST_BACKING_HUGETLB_2M => Backing::Hugetlb2M,
            sys::HOLDFAST_BACKING_THP => Backing::Thp,
            sys::HOLDFAST_BACKING_THP_PRIVATE => Backing::ThpPrivate,
            sys::HOLDFAST_BACKING_BASE => Backing::Base,
            _ => Backing::Best,
        }
    }
}

/// A node's number as the library's structures have it, where 0 is "any".
pub(crate) fn node_number(node: Option<u32>) -> u64 {
    node.map_or(0, |node| u64::from(node) + 1)
}

/// How to make an arena.
#[derive(Clone, Debug)]
pub struct ArenaOptions {
    size: u64,
    purpose: Purpose,
    backing: Backing,
    threads: u32,
    node: Option<u32>,
}

impl ArenaOptions {
    /// An arena of a size in bytes, rounded up to its page; for wiring, of the best backing.
    pub fn new(size: u64) -> ArenaOptions {
        ArenaOptions {
            size,
            purpose: Purpose::Wiring,
            backing: Backing::Best,
            threads: 0,
            node: None,
        }
    }

    /// Sets what it is for.
    pub fn purpose(mut self, purpose: Purpose) -> ArenaOptions {
        self.purpose = purpose;
        self
    }

    /// Sets what it is made of.
    pub fn backing(mut self, backing: Backing) -> ArenaOptions {
        self.backing = backing;
        self
    }

    /// Sets how many threads populate and zero memory; 0 for one for each processor.
    pub fn threads(mut self, threads: u32) -> ArenaOptions {
        self.threads = threads;
        self
    }

    /// Sets the node that all memory comes from.
    pub fn node(mut self, node: u32) -> ArenaOptions {
        self.node = Some(node);
        self
    }

    /// Takes the memory from the host: zero, resident, and locked where the host allows.
    pub fn create(&self) -> Result<Arena> {
        self.make(Progress::new(None))
    }

    /// The same, and calls a function with the bytes that are populated and all of them, from any
    /// thread. A panic of the function goes on when the call has ended.
    pub fn create_with(&self, mut progress: impl FnMut(u64, u64) + Send) -> Result<Arena> {
        self.make(Progress::new(Some(&mut progress)))
    }

    fn make(&self, progress: Progress) -> Result<Arena> {
        progress.during(|function, context| {
            let options = sys::holdfast_arena_options {
                struct_size: size::<sys::holdfast_arena_options>(),
                size: self.size,
                purpose: self.purpose as u32,
                backing: self.backing as u32,
                threads: self.threads,
                reserved: 0,
                node: node_number(self.node),
                progress: function,
                progress_context: context,
            };
            // SAFETY: the pointers are valid for the call, as is the function's context.
            Arena::made(|arena| unsafe { sys::holdfast_arena_create(&options, arena) })
        })
    }
}

/// What an arena is, now; in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArenaInfo {
    /// Its size.
    pub size: u64,
    /// Its page: ranges of its guests are whole numbers of these.
    pub page_size: u64,
    /// Bytes that no guest has.
    pub free: u64,
    /// Those of them that are zero already.
    pub zeroed: u64,
    /// Bytes that the kernel will not reclaim.
    pub locked: u64,
    /// How long its preparation took.
    pub duration: Duration,
    /// What it is made of.
    pub backing: Backing,
    /// How many threads populate and zero memory.
    pub threads: u32,
}

impl Arena {
    /// Makes an arena of a file on hugetlbfs or tmpfs that has zeros, such as a lease's. The
    /// descriptor is duplicated. `node` is the one that the file is on, if that is known. No other
    /// process may have the file open.
    pub fn adopt(file: impl AsFd, node: Option<u32>) -> Result<Arena> {
        let descriptor = file.as_fd().as_raw_fd();
        // SAFETY: the descriptor is open for the call, and the pointer valid.
        Arena::made(|arena| unsafe {
            sys::holdfast_arena_adopt(descriptor, node_number(node), arena)
        })
    }

    /// What the arena is, and what is free.
    pub fn info(&self) -> Result<ArenaInfo> {
        let mut info = sized!(holdfast_arena_info {
            size,
            page_size,
            free,
            zeroed,
            locked,
            nanoseconds,
            backing,
            threads
        });
        // SAFETY: the pointer is valid for the call, and the size is the structure's.
        check(unsafe { sys::holdfast_arena_info(self.raw(), &mut info) })?;
        Ok(ArenaInfo {
            size: info.size,
            page_size: info.page_size,
            free: info.free,
            zeroed: info.zeroed,
            locked: info.locked,
            duration: Duration::from_nanos(info.nanoseconds),
            backing: Backing::new(info.backing),
            threads: info.threads,
        })
    }

    /// Zeroes the free memory that guests have left dirty, on all threads of the arena.
    pub fn scrub(&self) -> Result<()> {
        // SAFETY: the handle is open.
        check(unsafe { sys::holdfast_arena_scrub(self.raw()) })
    }
}

/// A length of this process as the library has it.
pub(crate) fn length(bytes: usize) -> Result<u64> {
    u64::try_from(bytes).map_err(|_| Error::invalid_argument("a length exceeds 64 bits"))
}
