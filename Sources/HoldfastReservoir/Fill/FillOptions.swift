/// Options of a fill.
public struct FillOptions: Hashable, Sendable {
  /// The number of threads that populate memory, or nil for one for each available processor.
  public var threads: Int?
  /// Whether the fill raises the host's pool by the missing huge pages, file by file. This needs
  /// root. The pages stay in the pool, except those of a file that cannot be filled.
  public var reservesHugePages = false
  /// Whether the fill first unlinks what dead fills left behind. A caller that fills one file after
  /// another does so itself from time to time: inspecting the lock of a file that is being recycled
  /// makes that recycling scrub the file once more.
  package var removesLeftovers = true

  /// Creates options; the parameters are the properties.
  public init(threads: Int? = nil, reservesHugePages: Bool = false) {
    self.threads = threads
    self.reservesHugePages = reservesHugePages
  }
}
