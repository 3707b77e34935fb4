// Making allocators, and checking the frames that callers name.

extension FrameAllocator {
  /// The frames of a node, of which the allocator makes a domain.
  public struct Part: Hashable, Sendable {
    /// The node's frames, present or offline.
    public let frames: FrameRun
    /// The node, or nil where it is not known.
    public let node: NodeID?
    /// How many of the frames have memory, from the first on. The others are offline.
    public let present: PageCount

    /// The frames of a node.
    ///
    /// - Parameter present: how many of them have memory; nil for all.
    public init(_ frames: FrameRun, node: NodeID?, present: PageCount? = nil) {
      self.frames = frames
      self.node = node
      self.present = present ?? frames.count
    }
  }

  /// An allocator of `frames`, which start at a multiple of the largest block and are all free, in
  /// one domain.
  ///
  /// - Parameter zeroed: whether every byte of the frames is zero.
  /// - Throws: as `init(geometry:parts:topology:policy:zeroed:)`.
  public convenience init(
    geometry: Geometry, frames: FrameRun, zeroed: Bool
  ) throws(HoldfastError) {
    try self.init(geometry: geometry, parts: [Part(frames, node: nil)], zeroed: zeroed)
  }

  /// An allocator of the frames of some nodes. Those that are present are free.
  ///
  /// - Parameters:
  ///   - parts: at least one; each begins where the one before ends. A superpage that has frames of
  ///     two parts is never allocated whole.
  ///   - topology: the distances between the nodes.
  ///   - policy: which domains serve allocations.
  ///   - zeroed: whether every byte of the present frames is zero.
  /// - Throws: code `invalidArgument` without a part, for parts that are not contiguous, for a part
  ///   with more present frames than it has, and for frames from number 2^40 on.
  public convenience init(
    geometry: Geometry, parts: [Part], topology: NodeTopology = NodeTopology(),
    policy: DomainPolicy = .firstTouch, zeroed: Bool
  ) throws(HoldfastError) {
    try FrameAllocator.check(parts)
    self.init(
      geometry: geometry, checked: parts, topology: topology, policy: policy, zeroed: zeroed)
  }

  /// An allocator of frames that the caller knows to be valid.
  ///
  /// - Parameter largestBlock: the order of the largest block that `allocateLargest` gives out, and
  ///   so of what wiring takes at once; nil for the largest that there is.
  package convenience init(
    geometry: Geometry, checked frames: FrameRun, zeroed: Bool, largestBlock: Int? = nil
  ) {
    self.init(
      geometry: geometry, checked: [Part(frames, node: nil)], zeroed: zeroed,
      largestBlock: largestBlock)
  }

  /// An allocator of parts that the caller knows to be valid.
  package convenience init(
    geometry: Geometry, checked parts: [Part], topology: NodeTopology = NodeTopology(),
    policy: DomainPolicy = .firstTouch, zeroed: Bool, largestBlock: Int? = nil
  ) {
    let scrubbing = ScrubbingFrames()
    let audit = ZeroAudit()
    self.init(
      geometry: geometry,
      domains: parts.map {
        FrameDomain(geometry: geometry, $0, zeroed: zeroed, scrubbing: scrubbing, audit: audit)
      }, topology: topology, policy: policy,
      largestBlock: min(largestBlock ?? geometry.maximumOrder, geometry.maximumOrder))
  }

  /// The number of frames that a page tree's slots can name.
  private static let mostFrames = Frame(1 << 40)

  private static func check(_ parts: [Part]) throws(HoldfastError) {
    func refusal(_ reason: String) -> HoldfastError {
      HoldfastError(.invalidArgument, operation: "make a frame allocator", reason: reason)
    }
    if parts.isEmpty { throw refusal("there is no part") }
    for (part, next) in zip(parts, parts.dropFirst()) where part.frames.end != next.frames.start {
      throw refusal("the frames \(next.frames) do not begin where \(part.frames) end")
    }
    for part in parts {
      guard part.frames.end <= mostFrames else {
        throw refusal("the frames \(part.frames) exceed number 2^40 - 1")
      }
      guard part.present <= part.frames.count else {
        throw refusal("of the frames \(part.frames), \(part.present) are present")
      }
    }
  }
}
