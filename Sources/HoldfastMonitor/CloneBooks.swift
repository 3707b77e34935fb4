package import HoldfastCore
internal import HoldfastLinux
package import HoldfastTemplate
internal import SystemPackage

/// What a template and its clones take, as the kernel counts it.
package struct CloneBooks: Hashable, Sendable, Codable {
  /// A running clone.
  package struct Entry: Hashable, Sendable, Codable {
    /// Its name.
    package let name: String
    /// The number of its monitor's process; nil before that has started.
    package let process: Int32?
    /// How long it has run, in seconds; nil where that is not known.
    package let seconds: Int64?
    /// The bytes of private pages that it was promised.
    package let promised: ByteCount
    /// The bytes of its own pages; nil where this process may not look into the monitor.
    package let own: ByteCount?
    /// The bytes of the template's pages that it has mapped; nil as above.
    package let shared: ByteCount?
    /// The pages that were copied for it; nil as above.
    package let copies: UInt64?

    private enum CodingKeys: String, CodingKey {
      case name, process, seconds, copies
      case promised = "promisedBytes"
      case own = "ownBytes"
      case shared = "sharedBytes"
    }
  }

  /// The clones, by name.
  package let clones: [Entry]
  /// The bytes that the template's memory takes.
  package let memory: ByteCount
  /// The template's memory and the clones' own pages.
  package let sum: ByteCount
  /// What as many separate guests would take.
  package let separate: ByteCount

  private enum CodingKeys: String, CodingKey {
    case clones
    case memory = "memoryBytes"
    case sum = "sumBytes"
    case separate = "separateBytes"
  }

  /// Reads the books of a template.
  ///
  /// - Complexity: O(pages of the clones).
  package init(_ template: Template) {
    let page = template.pageSize.rawValue
    clones = template.clones().map { clone in
      let bytes = CloneBooks.bytes(of: clone, template)
      return Entry(
        name: clone.name.text, process: clone.process?.number, seconds: clone.seconds,
        promised: clone.promise, own: bytes?.own, shared: bytes?.shared,
        copies: bytes.map { $0.own.rawValue / page })
    }
    memory = (try? template.memory.status().allocated) ?? template.size
    sum = clones.reduce(memory) { $0 + ($1.own ?? .zero) }
    separate = ByteCount(template.size.rawValue.saturatingProduct(UInt64(clones.count)))
  }

  /// What a clone has; nil where this process may not look into its monitor.
  static func bytes(
    of clone: Clone, _ template: Template
  ) -> (own: ByteCount, shared: ByteCount)? {
    guard let process = clone.process, let status = try? template.memory.status(),
      let mappings = try? ProcessMapping.mappings(
        of: status, path: template.memoryPath, in: process),
      !mappings.isEmpty
    else { return nil }
    return try? ClonePages(template, mappings, process).bytes()
  }
}
