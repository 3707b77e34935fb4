package import HoldfastCore

/// What starting a clone obtained.
package struct CloneStartReceipt: Hashable, Sendable, Codable {
  /// The clone's name.
  package let name: String
  /// The template's name.
  package let template: String
  /// The number of the monitor's process.
  package let process: Int32
  /// The size of the memory.
  package let size: ByteCount
  /// The bytes of private pages that the clone was promised.
  package let promised: ByteCount
  /// The monitor's version; nil where it has no QMP.
  package let version: String?
  /// The pages that were read before the guest ran, and copied where it will write to them.
  package let prefetchedPages: Int
  /// The time that took, in seconds.
  package let prefetchSeconds: Double
  /// The time until the monitor answered, in seconds since the start of its process.
  package let answeredSeconds: Double
  /// The time until the guest ran, in seconds since the start of its process.
  package let seconds: Double

  private enum CodingKeys: String, CodingKey {
    case name, template, process, version, prefetchedPages, prefetchSeconds, answeredSeconds
    case seconds
    case size = "sizeBytes"
    case promised = "promisedBytes"
  }
}
