public import HoldfastCore
internal import HoldfastLinux

/// What a snapshot of guest memory wrote, and how long it took.
public struct SnapshotReceipt: Hashable, Sendable {
  /// The path of the image.
  public let path: String
  /// The size of the file, which is the length of the saved range.
  public let bytes: ByteCount
  /// Bytes that were written to the file.
  public let writtenBytes: ByteCount
  /// Bytes that are holes of the file, because they are zero, absent, or not mapped.
  public var holeBytes: ByteCount { bytes - writtenBytes }
  /// The time from the call until the file was on its disk.
  public let duration: Duration
  /// The part of `duration` that fsync(2) and the renaming of the file took.
  public let syncDuration: Duration
}

extension SnapshotReceipt: CustomStringConvertible {
  /// One line for people: `saved 4 GiB to vm.image in 1.32 s: 1.2 GiB written, 2.8 GiB of holes`.
  public var description: String {
    "saved \(bytes) to \(path) in \(duration.shortText): \(HostReport.rounded(writtenBytes)) "
      + "written, \(HostReport.rounded(holeBytes)) of holes"
  }
}

extension SnapshotReceipt: Codable {
  private enum CodingKeys: String, CodingKey, CaseIterable {
    case path = "snapshotPath"
    case bytes = "snapshotBytes"
    case writtenBytes = "snapshotWrittenBytes"
    case duration = "saveSeconds"
    case syncDuration = "saveSyncSeconds"
  }

  /// Reads what `encode(to:)` writes.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    path = try values.decode(String.self, forKey: .path)
    bytes = try values.decode(ByteCount.self, forKey: .bytes)
    writtenBytes = try values.decode(ByteCount.self, forKey: .writtenBytes)
    guard writtenBytes <= bytes else {
      throw DecodingError.dataCorruptedError(
        forKey: .writtenBytes, in: values, debugDescription: "more is written than the file has")
    }
    duration = .bounded(seconds: try values.decode(Double.self, forKey: .duration))
    syncDuration = .bounded(seconds: try values.decode(Double.self, forKey: .syncDuration))
  }

  /// Writes an object with the keys of `holdfast probe --format json`, and `snapshotPath` and
  /// `saveSyncSeconds`.
  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(path, forKey: .path)
    try values.encode(bytes, forKey: .bytes)
    try values.encode(writtenBytes, forKey: .writtenBytes)
    try values.encode(duration.seconds, forKey: .duration)
    try values.encode(syncDuration.seconds, forKey: .syncDuration)
  }

  /// Writes the keys of a receipt with null, for what has none: a snapshot that was not made.
  package static func encodeNone(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    for key in CodingKeys.allCases { try values.encodeNil(forKey: key) }
  }
}
