package import HoldfastCore

/// What sealing a template obtained.
package struct SealReceipt: Hashable, Sendable, Codable {
  /// The template's name.
  package let name: String
  /// The path of its folder.
  package let path: String
  /// The size of the memory.
  package let size: ByteCount
  /// The size of the pages that clones copy.
  package let pageSize: ByteCount
  /// The length of the device state.
  package let stateBytes: Int
  /// The monitor's program and version, where they are known.
  package let monitor: String?
  package let version: String?
  /// How long the machine had been stopped when the template was complete, in seconds.
  package let seconds: Double

  private enum CodingKeys: String, CodingKey {
    case name, path, stateBytes, monitor, version, seconds
    case size = "sizeBytes"
    case pageSize = "pageSizeBytes"
  }
}
