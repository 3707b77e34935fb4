/// What may be done with mapped memory (FreeBSD: `vm_prot_t`).
public struct Protection: OptionSet, Hashable, Sendable {
  public let rawValue: UInt8

  public init(rawValue: UInt8) {
    self.rawValue = rawValue
  }

  public static let read = Protection(rawValue: 1)
  public static let write = Protection(rawValue: 2)
  public static let execute = Protection(rawValue: 4)
  public static let readWrite: Protection = [.read, .write]
  public static let all: Protection = [.read, .write, .execute]
}

extension Protection: CustomStringConvertible {
  /// As in `/proc/PID/maps`: `rwx`, with a dash for what is missing.
  public var description: String {
    (contains(.read) ? "r" : "-") + (contains(.write) ? "w" : "-")
      + (contains(.execute) ? "x" : "-")
  }
}

/// What a child's address space gets of a mapping (FreeBSD: `vm_inherit_t`).
public enum Inheritance: Hashable, Sendable {
  /// The same memory.
  case share
  /// A copy, made when either side writes.
  case copy
  /// Nothing.
  case none
}
