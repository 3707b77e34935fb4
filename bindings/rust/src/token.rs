use crate::error::check;
use crate::handle::handle;
use crate::{sys, Result};

handle! {
    /// Cancels calls that take long.
    Token, holdfast_token, holdfast_token_close
}

impl Token {
    /// Makes a token that is not cancelled.
    pub fn new() -> Result<Token> {
        // SAFETY: the pointer is valid for the call.
        Token::made(|token| unsafe { sys::holdfast_token_create(token) })
    }

    /// Asks all calls that were given the token to end soon, with
    /// [`Code::Cancelled`](crate::Code::Cancelled). Does not wait for them.
    pub fn cancel(&self) -> Result<()> {
        // SAFETY: the handle is open.
        check(unsafe { sys::holdfast_token_cancel(self.raw()) })
    }
}
