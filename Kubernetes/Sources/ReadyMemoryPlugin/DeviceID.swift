/// A device of a resource: a place for a file of ready memory, on a NUMA node. The kubelet knows it
/// as `n0-3`, or `any-3` where the memory is bound to no node.
///
/// The number is no file's: a lease takes any ready file of the node.
package struct DeviceID: Hashable, Sendable, Comparable {
  package var node: UInt32?
  package var number: UInt32

  package init(node: UInt32?, number: UInt32) {
    self.node = node
    self.number = number
  }

  package var text: String { (node.map { "n\($0)" } ?? "any") + "-\(number)" }

  /// Reads ``text``; nil where it is any other text.
  package init?(_ text: String) {
    let words = text.split(separator: "-", omittingEmptySubsequences: false)
    guard words.count == 2, let number = UInt32(words[1]) else { return nil }
    if words[0] == "any" {
      self.init(node: nil, number: number)
    } else {
      guard words[0].first == "n", let node = UInt32(words[0].dropFirst()), node <= 1023 else {
        return nil
      }
      self.init(node: node, number: number)
    }
    // One text for each device: not n0-03.
    guard self.text == text else { return nil }
  }

  package static func < (one: DeviceID, other: DeviceID) -> Bool {
    (one.node.map { Int64($0) } ?? -1, one.number)
      < (other.node.map { Int64($0) } ?? -1, other.number)
  }
}
