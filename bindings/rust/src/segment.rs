use crate::handle::handle;

handle! {
    /// RAM of a guest, to be mapped. Its memory is the guest's until it is unmapped everywhere,
    /// also after the drop of this. Made by [`Guest::segment`](crate::Guest::segment) and
    /// [`Guest::restore`](crate::Guest::restore).
    Segment, holdfast_segment, holdfast_segment_close
}
