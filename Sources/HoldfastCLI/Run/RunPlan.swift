internal import HoldfastCore
internal import HoldfastReservoir

/// What `holdfast run` was asked for: pieces of memory, and a program with words in braces for
/// them.
struct RunPlan {
  let memory: [RunMemory]
  private let total: ByteCount
  private let templates: [ArgumentTemplate]

  /// Checks the arguments, before any memory is leased.
  ///
  /// - Parameter words: the program and its arguments.
  init(memory: [RunMemory], words: [[UInt8]]) throws(ArgumentTemplate.Problem) {
    self.memory = memory
    total = try RunPlan.total(memory)
    var templates: [ArgumentTemplate] = []
    for word in words { templates.append(try ArgumentTemplate(word, count: memory.count)) }
    self.templates = templates
    let used = templates.flatMap(\.references)
    for index in memory.indices {
      let hasPlace = used.contains {
        ($0.word == .memory || $0.word == .fd) && ($0.index ?? 0) == index
      }
      let suffix = memory.count == 1 ? "" : ".\(index)"
      guard hasPlace else {
        throw ArgumentTemplate.Problem(
          description: "the arguments of '\(String(decoding: words[0], as: UTF8.self))' lack "
            + "{memory\(suffix)}, which the path of the memory replaces, and {fd\(suffix)}, which a "
            + "descriptor replaces")
      }
    }
    for reference in used where reference.word == .mib {
      let size = size(of: reference)
      guard size.rawValue % (1 << 20) == 0 else {
        throw ArgumentTemplate.Problem(
          description: "{mib} needs a multiple of 1 MiB, and \(size.rawValue) bytes are none")
      }
    }
  }

  private static func total(_ memory: [RunMemory]) throws(ArgumentTemplate.Problem) -> ByteCount {
    var total: UInt64 = 0
    for piece in memory {
      let (sum, overflows) = total.addingReportingOverflow(piece.size.bytes.rawValue)
      if overflows {
        throw ArgumentTemplate.Problem(description: "the sizes add up to more than any host has")
      }
      total = sum
    }
    return ByteCount(total)
  }

  private func size(of reference: ArgumentTemplate.Reference) -> ByteCount {
    reference.index.map { memory[$0].size.bytes } ?? total
  }

  /// The program and its arguments, for leased memory.
  func words(for leases: [Lease]) -> [[UInt8]] {
    words(for: leases.map { ($0.receipt.path, $0.descriptor, $0.receipt.name) })
  }

  /// The program and its arguments, for one file.
  func words(path: String, descriptor: Int32, name: String) -> [[UInt8]] {
    words(for: [(path, descriptor, name)])
  }

  private func words(for files: [(path: String, descriptor: Int32, name: String)]) -> [[UInt8]] {
    templates.map { template in
      template.replaced { reference in
        let file = files[reference.index ?? 0]
        return switch reference.word {
        case .memory: file.path
        case .fd: "\(file.descriptor)"
        case .name: file.name
        case .size: size(of: reference).shortDescription
        case .bytes: "\(size(of: reference).rawValue)"
        case .mib: "\(size(of: reference).rawValue >> 20)"
        case .share: "on"
        // No word of these is accepted for leases.
        case .state, .id, .uuid, .seed: ""
        }
      }
    }
  }
}
