package import HoldfastCore

/// A mapping (VMA) of this process, as `/proc/self/smaps` describes it.
package struct KernelMapping: Hashable, Sendable {
  /// The addresses.
  package var range: Range<UInt64>
  /// The offset in the file.
  package var offset: UInt64
  /// The file's path as the kernel prints it, or an empty text.
  package var path: String
  /// The fields that the file gives in kB, in bytes: `Rss`, `Locked`, `ShmemPmdMapped` and so on.
  package var fields: [String: UInt64] = [:]
  /// The two-letter codes of `VmFlags`: `ht` for hugetlb, `lo` for locked.
  package var flags: Set<String> = []

  /// A field in bytes, 0 if it is missing.
  package subscript(_ field: String) -> UInt64 { fields[field] ?? 0 }

  /// The bytes of huge pages from the host's pools.
  var hugetlb: UInt64 { self["Shared_Hugetlb"].saturatingSum(self["Private_Hugetlb"]) }

  /// The mappings of this process that overlap `range`, in ascending order.
  ///
  /// - Throws: `HoldfastError` with code `host` if `/proc/self/smaps` cannot be read.
  /// - Complexity: O(mappings of the process).
  package static func all(overlapping range: Range<UInt64>) throws(HoldfastError) -> [KernelMapping]
  {
    guard let text = HostFiles(root: "/").text("/proc/self/smaps", limit: 1 << 28) else {
      throw HoldfastError(
        .host, operation: "check the kernel's mappings", reason: "/proc/self/smaps cannot be read",
        advice: .run(["mount", "-t", "proc", "proc", "/proc"], asRoot: true))
    }
    return parse(text).filter { $0.range.overlaps(range) }
  }

  /// Parses the text of a smaps file; lines that do not parse are left out.
  package static func parse(_ text: String) -> [KernelMapping] {
    var mappings: [KernelMapping] = []
    for line in text.split(separator: "\n") {
      let words = line.split(separator: " ", omittingEmptySubsequences: true)
      guard let first = words.first else { continue }
      if first.hasSuffix(":") {
        guard !mappings.isEmpty else { continue }
        let key = String(first.dropLast())
        if key == "VmFlags" {
          mappings[mappings.count - 1].flags = Set(words.dropFirst().map(String.init))
        } else if words.count == 3, words[2] == "kB", let size = UInt64(words[1]) {
          mappings[mappings.count - 1].fields[key] =
            size.saturatingProduct(1024)
        }
      } else if let mapping = header(words) {
        mappings.append(mapping)
      }
    }
    return mappings
  }

  /// `7f00-7f80 rw-s 00000000 00:01 123 /memfd:name (deleted)`
  private static func header(_ words: [Substring]) -> KernelMapping? {
    guard words.count >= 5 else { return nil }
    let bounds = words[0].split(separator: "-")
    guard bounds.count == 2, let start = UInt64(bounds[0], radix: 16),
      let end = UInt64(bounds[1], radix: 16), start <= end,
      let offset = UInt64(words[2], radix: 16)
    else { return nil }
    return KernelMapping(
      range: start..<end, offset: offset, path: words.dropFirst(5).joined(separator: " "))
  }
}
