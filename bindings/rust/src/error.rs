use crate::sys;
use std::ffi::CStr;
use std::fmt;
use std::os::raw::c_char;

/// The result of a call of the library.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a call failed, as holdfast.h numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Code {
    /// A part of the range is not mapped, or not mapped for the access.
    InvalidAddress,
    /// An argument is outside of what the function accepts.
    InvalidArgument,
    /// The protection does not allow the access.
    ProtectionFailure,
    /// The range of addresses is in use, or no free range is large enough.
    NoSpace,
    /// Memory, huge pages, a limit, mappings or another resource is exhausted.
    ResourceShortage,
    /// A page of a restored segment cannot be read.
    PagerFailure,
    /// An object of that name or at that address exists.
    AlreadyExists,
    /// Another thread or process uses the object.
    Busy,
    /// The caller cancelled the operation.
    Cancelled,
    /// This user lacks the permission.
    NotPermitted,
    /// The host lacks the feature.
    Unsupported,
    /// A system call failed; the JSON has its errno.
    Host,
    /// The guest accessed memory that is not there.
    GuestFault,
    /// The folder is missing or has no reservoir in it.
    NoReservoir,
    /// No lease has that name.
    NoLease,
    /// No ready memory satisfies the request.
    NoReadyMemory,
    /// Another user may have made or changed a file or folder that has to be trusted.
    Untrusted,
    /// No template has that name.
    NoTemplate,
    /// The handle is not open.
    InvalidHandle,
    /// The object is of the process that this one was forked from.
    ForeignProcess,
    /// A code of a later version.
    Other(i32),
}

impl Code {
    fn new(status: sys::holdfast_status) -> Code {
        match status {
            sys::HOLDFAST_INVALID_ADDRESS => Code::InvalidAddress,
            sys::HOLDFAST_INVALID_ARGUMENT => Code::InvalidArgument,
            sys::HOLDFAST_PROTECTION_FAILURE => Code::ProtectionFailure,
            sys::HOLDFAST_NO_SPACE => Code::NoSpace,
            sys::HOLDFAST_RESOURCE_SHORTAGE => Code::ResourceShortage,
            sys::HOLDFAST_PAGER_FAILURE => Code::PagerFailure,
            sys::HOLDFAST_ALREADY_EXISTS => Code::AlreadyExists,
            sys::HOLDFAST_BUSY => Code::Busy,
            sys::HOLDFAST_CANCELLED => Code::Cancelled,
            sys::HOLDFAST_NOT_PERMITTED => Code::NotPermitted,
            sys::HOLDFAST_UNSUPPORTED => Code::Unsupported,
            sys::HOLDFAST_HOST => Code::Host,
            sys::HOLDFAST_GUEST_FAULT => Code::GuestFault,
            sys::HOLDFAST_NO_RESERVOIR => Code::NoReservoir,
            sys::HOLDFAST_NO_LEASE => Code::NoLease,
            sys::HOLDFAST_NO_READY_MEMORY => Code::NoReadyMemory,
            sys::HOLDFAST_UNTRUSTED => Code::Untrusted,
            sys::HOLDFAST_NO_TEMPLATE => Code::NoTemplate,
            sys::HOLDFAST_INVALID_HANDLE => Code::InvalidHandle,
            sys::HOLDFAST_FOREIGN_PROCESS => Code::ForeignProcess,
            other => Code::Other(other),
        }
    }
}

/// Why a call failed: one line for people, and the same as JSON for programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    code: Code,
    message: String,
    json: String,
}

impl Error {
    /// The kind of failure.
    pub fn code(&self) -> Code {
        self.code
    }

    /// What is wrong and, where that is known, what to do, in one line.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// A JSON object with the keys `code`, `operation`, `reason`, `range`, `address`, `errno` and
    /// `advice`, of which those without a value are null.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// The error of this thread's call that has just returned `status`.
    fn last(status: sys::holdfast_status) -> Error {
        Error {
            code: Code::new(status),
            // SAFETY: the functions never return null, and their texts are valid until the next
            // call of the library on this thread, which comes after the copy.
            message: unsafe { copy(sys::holdfast_error_message()) },
            // SAFETY: as above.
            json: unsafe { copy(sys::holdfast_error_json()) },
        }
    }

    /// An argument that this crate refuses itself.
    pub(crate) fn invalid_argument(reason: &str) -> Error {
        let reason: String = reason
            .chars()
            .map(|c| if c.is_control() || c == '"' || c == '\\' { '?' } else { c })
            .collect();
        Error {
            code: Code::InvalidArgument,
            message: reason.clone(),
            json: format!(
                "{{\"code\":\"invalidArgument\",\"operation\":null,\"reason\":\"{reason}\",\
                 \"range\":null,\"address\":null,\"errno\":null,\"advice\":null}}"
            ),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// The result of a call that returned `status`.
pub(crate) fn check(status: sys::holdfast_status) -> Result<()> {
    if status == sys::HOLDFAST_OK {
        Ok(())
    } else {
        Err(Error::last(status))
    }
}

/// A copy of a text.
///
/// # Safety
/// `text` is not null, and ends with a zero byte.
pub(crate) unsafe fn copy(text: *const c_char) -> String {
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// The text that a call stores, which is freed.
pub(crate) fn text(call: impl FnOnce(*mut *mut c_char) -> sys::holdfast_status) -> Result<String> {
    let mut stored = std::ptr::null_mut();
    check(call(&mut stored))?;
    // SAFETY: after success the call has stored a text, which is this function's alone.
    let copied = unsafe { copy(stored) };
    // SAFETY: as above, and it is not used afterwards.
    unsafe { sys::holdfast_text_free(stored) };
    Ok(copied)
}

/// A text for the library, which ends at its first zero byte.
pub(crate) fn c_text(text: &str) -> Result<std::ffi::CString> {
    std::ffi::CString::new(text).map_err(|_| Error::invalid_argument("a text has a zero byte"))
}
