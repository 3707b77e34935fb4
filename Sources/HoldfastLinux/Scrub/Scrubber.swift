internal import CHoldfastLinux
public import HoldfastCore
internal import SystemPackage

/// Zeroes dirty free frames in the background, the largest blocks first, so that the next guest
/// gets zeroed ones (FreeBSD had `vm_zeroidle`; Linux has `init_on_free`, at the expense of the
/// thread that frees).
///
///     let scrubber = try Scrubber(memory: arena.memory)
///
/// Its threads have idle priority: they run where a processor would be idle, and sleep while
/// nothing is dirty. What they share with running guests is the memory's bandwidth, which
/// `Options.rate` limits.
///
/// A frame is allocated while it is being zeroed and freed as zeroed afterwards, so no other thread
/// can get it half zeroed. No allocation fails or gets smaller blocks for that, because it calls
/// the frames back (`ScrubbingFrames`). Of a block that is called back, the zeroed part is freed as
/// zeroed and the rest as dirty, so the block is whole again at once.
///
/// Safe to use from any thread. A scrubber stops when it is released.
public final class Scrubber: Sendable {
  /// The options of a scrubber.
  public struct Options: Hashable, Sendable {
    /// The number of threads, 1 to 1024. One keeps pace with guests that come and go; it takes
    /// from a third to all of the memory's bandwidth.
    public var threads: Int
    /// The most bytes that all threads together zero per second; nil for no limit.
    public var rate: ByteCount?
    /// Whether the scrubber starts paused.
    public var isPaused: Bool

    /// Creates options; the parameters are the properties.
    public init(threads: Int = 1, rate: ByteCount? = nil, isPaused: Bool = false) {
      self.threads = threads
      self.rate = rate
      self.isPaused = isPaused
    }
  }

  /// What a scrubber has done, and the state of the memory, at one moment.
  public struct Statistics: Hashable, Sendable {
    /// The bytes zeroed, and freed as zeroed, since the start.
    public let scrubbed: ByteCount
    /// The time that zeroing took, summed over the threads, without the pauses for the rate.
    public let busy: Duration
    /// The free bytes of the memory.
    public let free: ByteCount
    /// The free bytes that are zeroed.
    public let zeroed: ByteCount
    /// The bytes that are being zeroed; they are not free.
    public let beingZeroed: ByteCount
    /// How many allocations called frames back.
    public let callbacks: UInt64
    /// Whether the scrubber is paused.
    public let isPaused: Bool
    /// The number of threads.
    public let threads: Int
    /// The worst priority of a thread; nil before the first one runs.
    public let priority: Priority?
    /// Why that is not idle priority; nil if it is.
    public let priorityProblem: String?

    /// The bytes per second that a thread zeroes while it works; 0 before it has worked.
    public var speed: Double {
      let time = busy.seconds
      return time > 0 ? Double(scrubbed.rawValue) / time : 0
    }

    /// The share of the free memory that is zeroed, from 0 to 1; 1 if nothing is free.
    public var zeroedShare: Double {
      free == .zero ? 1 : Double(zeroed.rawValue) / Double(free.rawValue)
    }
  }

  /// The options that the scrubber was created with.
  public let options: Options
  private let work: ScrubWork
  private let threads: [BackgroundThread]

  /// Starts the threads.
  ///
  /// - Throws: `HoldfastError` with code `invalidArgument` where `options.threads` is not 1 to 1024, or
  ///   `options.rate` is zero, and `host` if a thread cannot be created.
  public init(memory: PhysicalMemory, options: Options = Options()) throws(HoldfastError) {
    try Scrubber.check(options)
    self.options = options
    work = ScrubWork(memory: memory, rate: options.rate, isPaused: options.isPaused)
    var threads: [BackgroundThread] = []
    for _ in 0..<options.threads {
      do throws(Errno) {
        threads.append(try BackgroundThread("holdfast-scrub") { [work] in work.run() })
      } catch {
        work.stop()
        for thread in threads { thread.join() }
        throw HoldfastError(
          .host, operation: "start a scrubber", reason: "no thread can be created",
          errno: error.rawValue,
          advice: .raiseLimit("RLIMIT_NPROC (ulimit -u), or pids.max of the cgroup"))
      }
    }
    self.threads = threads
  }

  private static func check(_ options: Options) throws(HoldfastError) {
    let operation = "start a scrubber"
    guard (1...1024).contains(options.threads) else {
      throw HoldfastError(
        .invalidArgument, operation: operation,
        reason: "\(options.threads) threads are not 1 to 1024")
    }
    guard options.rate != .zero else {
      throw HoldfastError(
        .invalidArgument, operation: operation, reason: "the rate is zero",
        advice: .other("a scrubber that is paused"))
    }
  }

  deinit {
    stop()
  }

  /// Stops the scrubber for good. Returns when the threads have ended and all frames are free
  /// again, which takes no longer than zeroing a few hundred kilobytes.
  public func stop() {
    if work.stop() { for thread in threads { thread.join() } }
    work.waitUntilEnded(threads.count)
  }

  /// Pauses the scrubber. Returns when all frames that it was zeroing are free again.
  public func pause() { work.pause() }

  /// Resumes after `pause`.
  public func resume() { work.resume() }

  /// Waits until no free frame is dirty and none is being zeroed.
  ///
  /// - Returns: false if that was not so within `limit`, or the scrubber was stopped.
  public func waitUntilZeroed(atMost limit: Duration) -> Bool { work.waitUntilZeroed(limit) }

  /// The statistics at this moment. Takes the allocator's locks, one after the other.
  public var statistics: Statistics { work.statistics(threads: threads.count) }
}

extension Scrubber {
  /// The scheduling priority of a scrubber's thread.
  public enum Priority: String, Hashable, Sendable, Codable {
    /// SCHED_IDLE: the thread runs only where a processor would be idle.
    case idle
    /// Nice 19, whose weight is 1/68 of the default.
    case nice
    /// The priority of the thread that created the scrubber.
    case normal
  }

  /// Gives the calling thread the lowest priority that the host allows.
  ///
  /// - Returns: the priority, and why it is not idle.
  static func lowerPriority(
    idle: () -> Int32 = { hf_thread_set_idle() }, nice: () -> Int32 = { hf_thread_set_nice(19) }
  ) -> (priority: Priority, problem: String?) {
    let first = idle()
    if first >= 0 { return (.idle, nil) }
    let problem = "the host refused SCHED_IDLE: \(Errno(rawValue: -first))"
    let second = nice()
    if second >= 0 { return (.nice, problem) }
    return (.normal, problem + ", and nice 19: \(Errno(rawValue: -second))")
  }
}
