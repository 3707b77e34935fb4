/// Makes the type of a handle: it closes what it is of when it is dropped.
///
/// A handle is a number, which the library checks at each call, so the types are `Send` and `Sync`
/// without further words. An error of the drop is ignored: in a child of fork(2) the handle is the
/// parent's.
macro_rules! handle {
    ($(#[$attribute:meta])* $name:ident, $raw:ident, $close:ident) => {
        $(#[$attribute])*
        #[derive(Debug)]
        pub struct $name {
            raw: crate::sys::$raw,
        }

        impl $name {
            /// The handle, for calls of `sys`. It stays this object's.
            pub fn raw(&self) -> crate::sys::$raw {
                self.raw
            }

            /// The handle that a call stores.
            #[allow(dead_code)]
            pub(crate) fn made(
                call: impl FnOnce(*mut crate::sys::$raw) -> crate::sys::holdfast_status,
            ) -> crate::Result<$name> {
                let mut raw = crate::sys::$raw { id: 0 };
                crate::error::check(call(&mut raw))?;
                Ok($name { raw })
            }

            /// Closes it, as a drop does, and says if that failed.
            pub fn close(self) -> crate::Result<()> {
                let this = std::mem::ManuallyDrop::new(self);
                // SAFETY: the handle is open, and not used afterwards.
                crate::error::check(unsafe { crate::sys::$close(this.raw) })
            }
        }

        impl Drop for $name {
            fn drop(&mut self) {
                // SAFETY: the handle is open, and not used afterwards.
                unsafe { crate::sys::$close(self.raw) };
            }
        }
    };
}
pub(crate) use handle;

/// The size of a structure, for its first member.
pub(crate) fn size<Structure>() -> u64 {
    std::mem::size_of::<Structure>() as u64
}

/// A structure of zeros with its size, to be filled in.
macro_rules! sized {
    ($name:ident { $($member:ident),* }) => {
        crate::sys::$name {
            struct_size: crate::handle::size::<crate::sys::$name>(),
            $($member: 0),*
        }
    };
}
pub(crate) use sized;
