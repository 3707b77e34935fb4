public import HoldfastCore
internal import HoldfastLinux

/// What a clone touched of its template's memory so far, and what was read ahead of its
/// touches.
///
/// A touch is the first page fault in a page of ``pageSize``. What a monitor reads and writes by
/// `GuestMemory.read` and `write`, and what is wired, are no touches.
public struct CloneReceipt: Hashable, Sendable {
  /// The template's name.
  public let template: String
  /// The size of the pages that are counted: that of a page fault's work.
  public let pageSize: ByteCount
  /// Bytes of the template's working set, or 0 where nothing was to be read ahead.
  public let wantedBytes: ByteCount
  /// Bytes that were read ahead. Less than `wantedBytes` where the guest was faster, where
  /// pages are holes of the template, and where prefetching goes on or ended early.
  public let readAheadBytes: ByteCount
  /// Touches of pages that had been read ahead, or were being read. Pages that were also
  /// entered (``WorkingSetOptions/Prefetching/entered``) are touched without a page fault, so few
  /// of their touches count.
  public let metTouches: Int
  /// Touches of all other pages.
  public let missedTouches: Int
  /// How long pages were read ahead, or have been so far; 0 where none were to be.
  public let prefetchDuration: Duration
  /// Whether pages are still being read.
  public let isPrefetching: Bool
  /// Why not all of the working set was read: no free frame, or a memory file that cannot be
  /// read. Nil for no problem.
  public let prefetchProblem: String?
  /// Touches that were recorded, and are or will be kept with the template.
  public let recordedTouches: Int
}

extension CloneReceipt: CustomStringConvertible {
  /// A line or two for people: `clone of base: 102 MiB of 102 MiB read ahead in 21 ms, 51
  /// touches met, 0 missed (pages of 2 MiB)`.
  public var description: String {
    let ahead =
      wantedBytes == .zero
      ? "nothing read ahead"
      : "\(HostReport.rounded(readAheadBytes)) of \(HostReport.rounded(wantedBytes)) read "
        + "ahead in \(prefetchDuration.shortText)" + (isPrefetching ? " so far" : "")
    return "clone of \(template): \(ahead), \(metTouches) touches met, \(missedTouches) missed "
      + "(pages of \(pageSize))"
      + (prefetchProblem.map { "\n  not all was read: \($0)" } ?? "")
  }
}

extension CloneReceipt: Codable {
  private enum CodingKeys: String, CodingKey {
    case template
    case pageSize = "pageBytes"
    case wantedBytes, readAheadBytes, metTouches, missedTouches
    case prefetchDuration = "prefetchSeconds"
    case isPrefetching = "prefetching"
    case prefetchProblem, recordedTouches
  }

  /// Reads what `encode(to:)` writes.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    template = try values.decode(String.self, forKey: .template)
    pageSize = try values.decode(ByteCount.self, forKey: .pageSize)
    wantedBytes = try values.decode(ByteCount.self, forKey: .wantedBytes)
    readAheadBytes = try values.decode(ByteCount.self, forKey: .readAheadBytes)
    metTouches = try values.decode(Int.self, forKey: .metTouches)
    missedTouches = try values.decode(Int.self, forKey: .missedTouches)
    prefetchDuration = .bounded(seconds: try values.decode(Double.self, forKey: .prefetchDuration))
    isPrefetching = try values.decode(Bool.self, forKey: .isPrefetching)
    prefetchProblem = try values.decodeIfPresent(String.self, forKey: .prefetchProblem)
    recordedTouches = try values.decode(Int.self, forKey: .recordedTouches)
  }

  /// Writes an object; sizes are numbers of bytes, and `prefetchProblem` is null for no problem.
  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(template, forKey: .template)
    try values.encode(pageSize, forKey: .pageSize)
    try values.encode(wantedBytes, forKey: .wantedBytes)
    try values.encode(readAheadBytes, forKey: .readAheadBytes)
    try values.encode(metTouches, forKey: .metTouches)
    try values.encode(missedTouches, forKey: .missedTouches)
    try values.encode(prefetchDuration.seconds, forKey: .prefetchDuration)
    try values.encode(isPrefetching, forKey: .isPrefetching)
    try values.encode(prefetchProblem, forKey: .prefetchProblem)
    try values.encode(recordedTouches, forKey: .recordedTouches)
  }
}
