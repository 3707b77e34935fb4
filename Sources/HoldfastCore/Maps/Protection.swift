/// The accesses that a mapping allows (FreeBSD: `vm_prot_t`; Linux: the PROT_ flags of mmap(2)).
public struct Protection: OptionSet, Hashable, Sendable {
  /// The bits of the set.
  public let rawValue: UInt8

  /// Creates a set of bits.
  public init(rawValue: UInt8) {
    self.rawValue = rawValue
  }

  /// Reading (PROT_READ).
  public static let read = Protection(rawValue: 1)
  /// Writing (PROT_WRITE).
  public static let write = Protection(rawValue: 2)
  /// Execution (PROT_EXEC).
  public static let execute = Protection(rawValue: 4)
  /// Reading and writing.
  public static let readWrite: Protection = [.read, .write]
  /// Every access.
  public static let all: Protection = [.read, .write, .execute]
}

extension Protection: CustomStringConvertible {
  /// As in `/proc/PID/maps`: `rwx`, with a dash for what is missing.
  public var description: String {
    (contains(.read) ? "r" : "-") + (contains(.write) ? "w" : "-")
      + (contains(.execute) ? "x" : "-")
  }
}
