/// What a clone does with the working set of its template: the pages that a clone touched first, in
/// the order of its touches.
public struct WorkingSetOptions: Hashable, Sendable {
  /// When a clone records its first touches and keeps them with the template.
  public enum Recording: String, Hashable, Sendable, CaseIterable, Codable {
    /// If the template has no working set, both when the clone is made and when it would keep one.
    case whenMissing
    /// In any case, in place of the working set that the template has.
    case always
    /// Never.
    case never
  }

  /// How far a page is prepared ahead of its touch.
  public enum Prefetching: String, Hashable, Sendable, CaseIterable, Codable {
    /// Not at all: each page is read when it is touched.
    case off
    /// It is read. Its first touch is a page fault that only enters it, so the receipt can count
    /// such touches.
    case resident
    /// It is read and entered in the window, so that its first touch is no page fault. A clone that
    /// records does what `resident` does, since it has to see its touches.
    case entered
  }

  /// When first touches are recorded.
  public var recording: Recording
  /// How long after the clone was made they are recorded.
  public var recordingTime: Duration
  /// How far pages are prepared ahead.
  public var prefetching: Prefetching
  /// How many threads read pages ahead, 1 to 64; other numbers count as the nearest of these.
  public var threads: Int

  /// Creates options; the parameters are the properties.
  public init(
    recording: Recording = .whenMissing, recordingTime: Duration = .seconds(10),
    prefetching: Prefetching = .resident, threads: Int = 2
  ) {
    self.recording = recording
    self.recordingTime = recordingTime
    self.prefetching = prefetching
    self.threads = threads
  }

  /// Neither records nor prefetches.
  public static let off = WorkingSetOptions(recording: .never, prefetching: .off)
}
