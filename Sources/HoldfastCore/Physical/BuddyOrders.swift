/// The largest order that can be served for each kind, or -1.
struct BuddyOrders: Equatable {
  var any: Int
  var zeroed: Int
  var dirty: Int

  /// No order for any kind.
  static let none = BuddyOrders(any: -1, zeroed: -1, dirty: -1)

  subscript(kind: FrameKind) -> Int {
    switch kind {
    case .any: any
    case .zeroed: zeroed
    case .dirty: dirty
    }
  }
}
