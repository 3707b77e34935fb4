use crate::arena::node_number;
use crate::error::{c_text, check, text};
use crate::handle::{handle, size, sized};
use crate::{sys, Arena, Result, Token};
use std::ffi::CString;
use std::os::raw::c_char;
use std::os::unix::io::{FromRawFd, OwnedFd};
use std::time::Duration;

handle! {
    /// Leased memory of a reservoir. The drop closes the library's descriptor: a held lease ends
    /// then, if no other process has its descriptor and no arena its file, and another one stays
    /// until it is released ([`Place::release`]).
    Lease, holdfast_lease, holdfast_lease_close
}

/// Where a reservoir is, and how it is asked. The default is the only reservoir, by files.
#[derive(Clone, Debug, Default)]
pub struct Place {
    mount: Option<String>,
    socket: Option<String>,
}

impl Place {
    /// The reservoir on a file system.
    pub fn mount(path: &str) -> Place {
        Place { mount: Some(path.into()), socket: None }
    }

    /// The reservoir of the service at a socket.
    pub fn socket(path: &str) -> Place {
        Place { mount: None, socket: Some(path.into()) }
    }

    /// Ends a lease by its name. Unmap the memory and close its descriptors before.
    pub fn release(&self, name: &str) -> Result<()> {
        let (mount, socket) = (optional(&self.mount)?, optional(&self.socket)?);
        let name = c_text(name)?;
        // SAFETY: the pointers are null or valid for the call.
        check(unsafe {
            sys::holdfast_lease_release(pointer(&mount), pointer(&socket), name.as_ptr())
        })
    }
}

fn optional(text: &Option<String>) -> Result<Option<CString>> {
    text.as_deref().map(c_text).transpose()
}

fn pointer(text: &Option<CString>) -> *const c_char {
    text.as_ref().map_or(std::ptr::null(), |text| text.as_ptr())
}

/// How to lease ready memory.
#[derive(Clone, Debug)]
pub struct LeaseOptions {
    size: u64,
    place: Place,
    name: Option<String>,
    node: Option<u32>,
    timeout: Duration,
    is_exact: bool,
    grows: bool,
    is_held: bool,
}

impl LeaseOptions {
    /// A lease of at least `size` bytes, of the only reservoir, that does not wait.
    pub fn new(size: u64) -> LeaseOptions {
        LeaseOptions {
            size,
            place: Place::default(),
            name: None,
            node: None,
            timeout: Duration::ZERO,
            is_exact: false,
            grows: false,
            is_held: false,
        }
    }

    /// Sets which reservoir it is of.
    pub fn place(mut self, place: &Place) -> LeaseOptions {
        self.place = place.clone();
        self
    }

    /// Sets its name; without, one is made.
    pub fn name(mut self, name: &str) -> LeaseOptions {
        self.name = Some(name.into());
        self
    }

    /// Sets the node that the memory is on.
    pub fn node(mut self, node: u32) -> LeaseOptions {
        self.node = Some(node);
        self
    }

    /// Sets how long to wait for ready memory.
    pub fn timeout(mut self, timeout: Duration) -> LeaseOptions {
        self.timeout = timeout;
        self
    }

    /// Takes no file that is larger.
    pub fn exact(mut self) -> LeaseOptions {
        self.is_exact = true;
        self
    }

    /// Extends a smaller file.
    pub fn grow(mut self) -> LeaseOptions {
        self.grows = true;
        self
    }

    /// Ends the lease when its descriptor is closed in all processes.
    pub fn held(mut self) -> LeaseOptions {
        self.is_held = true;
        self
    }

    /// Leases ready memory.
    pub fn create(&self) -> Result<Lease> {
        self.make(sys::holdfast_token { id: 0 })
    }

    /// The same, until another thread cancels the token.
    pub fn create_until(&self, token: &Token) -> Result<Lease> {
        self.make(token.raw())
    }

    fn make(&self, token: sys::holdfast_token) -> Result<Lease> {
        let (mount, socket) = (optional(&self.place.mount)?, optional(&self.place.socket)?);
        let name = optional(&self.name)?;
        let options = sys::holdfast_lease_options {
            struct_size: size::<sys::holdfast_lease_options>(),
            size: self.size,
            mount: pointer(&mount),
            socket: pointer(&socket),
            name: pointer(&name),
            node: node_number(self.node),
            timeout_nanoseconds: u64::try_from(self.timeout.as_nanos()).unwrap_or(u64::MAX),
            is_exact: self.is_exact.into(),
            grows: self.grows.into(),
            is_held: self.is_held.into(),
            reserved: 0,
            token,
        };
        // SAFETY: the pointers are null or valid for the call.
        Lease::made(|lease| unsafe { sys::holdfast_lease_create(&options, lease) })
    }
}

/// What was leased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaseInfo {
    /// The bytes of the file.
    pub size: u64,
    /// The size of its pages.
    pub page_size: u64,
    /// Its node, if that is known.
    pub node: Option<u32>,
    /// Whether the lease ends with its descriptors.
    pub is_held: bool,
    /// Whether no other process had the file open or mapped when it was leased.
    pub is_exclusive: bool,
    /// How long it took.
    pub duration: Duration,
}

impl Lease {
    /// What was leased.
    pub fn info(&self) -> Result<LeaseInfo> {
        let mut info = sized!(holdfast_lease_info {
            size,
            page_size,
            node,
            is_held,
            is_exclusive,
            nanoseconds
        });
        // SAFETY: the pointer is valid for the call, and the size is the structure's.
        check(unsafe { sys::holdfast_lease_info(self.raw(), &mut info) })?;
        Ok(LeaseInfo {
            size: info.size,
            page_size: info.page_size,
            node: info.node.checked_sub(1).and_then(|node| u32::try_from(node).ok()),
            is_held: info.is_held != 0,
            is_exclusive: info.is_exclusive != 0,
            duration: Duration::from_nanos(info.nanoseconds),
        })
    }

    /// The path of the leased file, for a monitor that takes memory by path.
    pub fn path(&self) -> Result<String> {
        // SAFETY: the handle is open, and the pointer is valid for the call.
        text(|path| unsafe { sys::holdfast_lease_path(self.raw(), path) })
    }

    /// The name of the lease, to release it by.
    pub fn name(&self) -> Result<String> {
        // SAFETY: the handle is open, and the pointer is valid for the call.
        text(|name| unsafe { sys::holdfast_lease_name(self.raw(), name) })
    }

    /// A descriptor of the leased file, close-on-exec.
    pub fn descriptor(&self) -> Result<OwnedFd> {
        let mut descriptor = -1;
        // SAFETY: the handle is open, and the pointer is valid for the call.
        check(unsafe { sys::holdfast_lease_descriptor(self.raw(), &mut descriptor) })?;
        // SAFETY: the library has made it for the caller, who owns it.
        Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
    }

    /// Makes an arena of the lease. The arena has the file from then on.
    pub fn adopt(&self) -> Result<Arena> {
        // SAFETY: the handle is open, and the pointer is valid for the call.
        Arena::made(|arena| unsafe { sys::holdfast_lease_adopt(self.raw(), arena) })
    }
}
