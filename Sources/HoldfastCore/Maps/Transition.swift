/// The identity of an operation that has entries in transition (FreeBSD: the entries'
/// `MAP_ENTRY_IN_TRANSITION` with `wiring_thread`).
final class Transition {}
