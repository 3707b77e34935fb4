use crate::sys;
use std::any::Any;
use std::os::raw::c_void;
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};

/// A function that is called with what is done and all that is to do, in bytes.
type Function<'a> = &'a mut (dyn FnMut(u64, u64) + Send);

/// A progress function for one call. A panic of the function does not unwind through the library:
/// it goes on when the call has returned.
pub(crate) struct Progress<'a> {
    function: Option<Function<'a>>,
    panic: Option<Box<dyn Any + Send>>,
}

impl<'a> Progress<'a> {
    pub(crate) fn new(function: Option<Function<'a>>) -> Progress<'a> {
        Progress { function, panic: None }
    }

    /// Makes a call with the function and its context, and resumes a panic.
    pub(crate) fn during<R>(
        mut self,
        call: impl FnOnce(sys::holdfast_progress, *mut c_void) -> R,
    ) -> R {
        let result = match self.function {
            None => call(None, std::ptr::null_mut()),
            // The context outlives the call, after whose end the library calls nothing.
            Some(_) => call(Some(report), (&mut self as *mut Progress).cast()),
        };
        if let Some(panic) = self.panic.take() {
            resume_unwind(panic);
        }
        result
    }
}

/// Calls the function of a `Progress`.
///
/// # Safety
/// `context` is a `Progress`, of one call at a time.
unsafe extern "C" fn report(context: *mut c_void, done: u64, total: u64) {
    // SAFETY: the caller's promise. The library calls from one thread at a time, so nothing else
    // refers to it, and the function is `Send`.
    let progress = unsafe { &mut *context.cast::<Progress>() };
    if progress.panic.is_some() {
        return;
    }
    if let Some(function) = &mut progress.function {
        progress.panic = catch_unwind(AssertUnwindSafe(|| function(done, total))).err();
    }
}
