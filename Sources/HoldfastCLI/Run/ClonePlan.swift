internal import HoldfastCore
internal import HoldfastTemplate

/// What `holdfast run --template` was asked for: a program with words in braces for each clone.
struct ClonePlan {
  private let templates: [ArgumentTemplate]
  /// Whether the program is QEMU, which loads its state and starts by QMP.
  let isQEMU: Bool
  /// Whether the program gets the path of the device state, and loads it by itself.
  let usesState: Bool
  /// Whether the arguments of QEMU say how it loads its state.
  let hasIncoming: Bool

  private static let words: [ArgumentTemplate.Word] = [
    .memory, .fd, .size, .bytes, .mib, .name, .share, .state, .id, .uuid, .seed,
  ]

  /// The values for the arguments of one clone.
  struct Values {
    let name: TemplateName
    /// The number of the clone among those that are started together, from 0.
    let number: Int
    let path: String
    let descriptor: Int32
    let size: ByteCount
    /// The path of the device state.
    let state: String
    let uuid = ClonePlan.uuid()
    let seed = ClonePlan.digits(32)
  }

  /// - Parameter words: the program and its arguments.
  init(_ words: [[UInt8]]) throws(ArgumentTemplate.Problem) {
    var templates: [ArgumentTemplate] = []
    for word in words { templates.append(try ArgumentTemplate(word, count: 1, words: Self.words)) }
    self.templates = templates
    isQEMU = Self.isQEMU(words[0])
    hasIncoming = words.contains(Array("-incoming".utf8))
    let used = templates.flatMap(\.references).map(\.word)
    usesState = used.contains(.state)
    guard used.contains(.memory) || used.contains(.fd) else {
      throw ArgumentTemplate.Problem(
        description: "the arguments of '\(String(decoding: words[0], as: UTF8.self))' lack "
          + "{memory}, which the path of the template's memory replaces, and {fd}, which a "
          + "descriptor replaces")
    }
    // What maps the memory shared would change the template. A monitor that does so in another way
    // is found out before its guest runs.
    let memory = words.first { Self.contains($0, "{memory}") } ?? []
    guard !Self.contains(memory, "share=on"), !Self.contains(memory, "share=true") else {
      throw ArgumentTemplate.Problem(
        description: "with share=on the guest would write to the template: use share={share} or "
          + "share=off")
    }
  }

  /// Whether a program is QEMU, by its name.
  static func isQEMU(_ program: [UInt8]) -> Bool {
    let name = program.split(separator: UInt8(ascii: "/")).last ?? []
    return name.starts(with: Array("qemu".utf8))
  }

  private static func contains(_ bytes: [UInt8], _ text: String) -> Bool {
    String(decoding: bytes, as: UTF8.self).contains(text)
  }

  /// The program and its arguments for a clone.
  func words(_ values: Values) -> [[UInt8]] {
    templates.map { template in
      template.replaced { reference in
        switch reference.word {
        case .memory: values.path
        case .fd: "\(values.descriptor)"
        case .size: values.size.shortDescription
        case .bytes: "\(values.size.rawValue)"
        case .mib: "\(values.size.rawValue >> 20)"
        case .name: values.name.text
        case .share: "off"
        case .state: values.state
        case .id: "\(values.number)"
        case .uuid: values.uuid
        case .seed: values.seed
        }
      }
    }
  }

  /// Random bytes as hexadecimal digits. The corresponding C function is `getrandom`.
  private static func digits(_ count: Int) -> String {
    (0..<count).map { _ in
      let byte = String(UInt8.random(in: 0...255), radix: 16)
      return byte.count == 1 ? "0" + byte : byte
    }.joined()
  }

  /// A random UUID (RFC 9562, version 4).
  private static func uuid() -> String {
    var bytes = (0..<16).map { _ in UInt8.random(in: 0...255) }
    bytes[6] = bytes[6] & 0x0F | 0x40
    bytes[8] = bytes[8] & 0x3F | 0x80
    let digits = bytes.map { byte in
      let text = String(byte, radix: 16)
      return text.count == 1 ? "0" + text : text
    }
    return [0..<4, 4..<6, 6..<8, 8..<10, 10..<16].map { digits[$0].joined() }
      .joined(separator: "-")
  }
}
