/// The identity under which a `ReservationPool` knows the pages of an object. Two objects exchange it
/// where all pages of one move to the other, so that the reservations need not be changed one by
/// one.
final class ReservationOwner: Sendable {}
