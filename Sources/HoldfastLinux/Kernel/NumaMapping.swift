package import HoldfastCore

/// A line of `/proc/self/numa_maps`.
package struct NumaMapping: Hashable, Sendable {
  /// The address of the mapping.
  package var start: UInt64
  /// The memory policy: `default`, `bind:1`, `prefer:0`.
  package var policy: String
  /// The bytes on each node.
  package var bytes: [NodeID: UInt64]

  /// Parses the text of the file; lines that do not parse are left out.
  package static func parse(_ text: String) -> [NumaMapping] {
    text.split(whereSeparator: \.isNewline).compactMap { line in
      // 7f00a0000000 bind:1 file=/memfd:x\040(deleted) huge dirty=4 N1=4 kernelpagesize_kB=2048
      let words = line.split(separator: " ")
      guard words.count >= 2, let start = UInt64(words[0], radix: 16) else { return nil }
      var pages: [NodeID: UInt64] = [:]
      var size: UInt64 = 4096
      for word in words.dropFirst(2) {
        let parts = word.split(separator: "=", maxSplits: 1)
        guard parts.count == 2, let number = UInt64(parts[1]) else { continue }
        if parts[0] == "kernelpagesize_kB" {
          size = HostParsers.kibibytes(parts[1])?.rawValue ?? size
        } else if parts[0].first == "N", let node = UInt32(parts[0].dropFirst()) {
          pages[NodeID(node)] = number
        }
      }
      return NumaMapping(
        start: start, policy: String(words[1]),
        bytes: pages.mapValues { $0.saturatingProduct(size) })
    }
  }
}
