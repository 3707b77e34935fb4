use crate::handle::handle;

handle! {
    /// Pages that stay where they are while the kernel or a device accesses them. No other guest
    /// gets them before the drop of this, whatever happens to their guest. Made by
    /// [`Guest::hold`](crate::Guest::hold).
    Hold, holdfast_hold, holdfast_hold_release
}
