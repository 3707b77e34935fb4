public import HoldfastCore
internal import SystemPackage

/// Zeroes dirty free frames in the background, largest blocks first, so that the next guest finds
/// them zeroed (FreeBSD had `vm_zeroidle`; Linux has `init_on_free`, which has whoever frees pay).
///
///     let scrubber = try Scrubber(memory: arena.memory)
///
/// Its threads are of idle priority: they run where a processor would have nothing to do, and sleep
/// when nothing is dirty until frames are freed. What they still share with running guests is the
/// memory's bandwidth, which `Options.rate` limits.
///
/// A frame is allocated while it is being zeroed and freed as zeroed afterwards, so nobody can get it
/// half done. That makes no allocation fail or get smaller blocks: `ScrubbingFrames` has how frames are
/// called back. Of a block that is called back, what is zero already is freed as zeroed and the rest
/// as dirty, so that the block is whole again at once.
///
/// Safe to use from any thread. It stops when it is released.
public final class Scrubber: Sendable {
  /// How to work.
  public struct Options: Hashable, Sendable {
    /// How many threads; at least 1. One keeps pace with guests that come and go, at a third to all of
    /// the memory's bandwidth.
    public var threads: Int
    /// The most bytes to zero in a second, over all threads; nil for no limit.
    public var rate: ByteCount?
    /// Whether to begin paused.
    public var isPaused: Bool

    public init(threads: Int = 1, rate: ByteCount? = nil, isPaused: Bool = false) {
      self.threads = threads
      self.rate = rate
      self.isPaused = isPaused
    }
  }

  /// What was done, and how the memory is, at one moment.
  public struct Statistics: Hashable, Sendable {
    /// Zeroed and freed as such since the start.
    public let scrubbed: ByteCount
    /// The time that took, added up over the threads; without rests that the rate asked for.
    public let busy: Duration
    /// Free, in all.
    public let free: ByteCount
    /// Free and zeroed.
    public let zeroed: ByteCount
    /// Taken to be zeroed at this moment; not free.
    public let inHand: ByteCount
    /// How often an allocation called frames back.
    public let callbacks: UInt64
    public let isPaused: Bool
    public let threads: Int
    /// The worst priority that a thread has; nil before the first one runs.
    public let priority: Priority?
    /// Why that is not idle.
    public let priorityProblem: String?

    /// Bytes a second of one thread while at work; zero before it has worked.
    public var speed: Double {
      let time = busy.seconds
      return time > 0 ? Double(scrubbed.rawValue) / time : 0
    }

    /// The part of the free memory that is zeroed, 1 where nothing is free.
    public var zeroedShare: Double {
      free == .zero ? 1 : Double(zeroed.rawValue) / Double(free.rawValue)
    }
  }

  public let options: Options
  private let work: ScrubWork
  private let threads: [BackgroundThread]

  /// Starts the threads.
  ///
  /// - Throws: `HoldfastError` where the host gives no threads.
  public init(memory: PhysicalMemory, options: Options = Options()) throws(HoldfastError) {
    precondition(options.threads > 0, "a scrubber has at least one thread")
    precondition(options.rate != .zero, "a rate of zero is a pause")
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
          .host, operation: "start a scrubber", reason: "a thread cannot be made",
          errno: error.rawValue,
          advice: .other("raise the limit on threads (ulimit -u, or the cgroup's pids.max)"))
      }
    }
    self.threads = threads
  }

  deinit {
    stop()
  }

  /// Ends it. Returns when the threads have ended and no frame is in hand; that takes no longer than
  /// zeroing a few hundred kilobytes. It cannot be started again.
  public func stop() {
    if work.stop() { for thread in threads { thread.join() } }
    work.waitUntilEnded(threads.count)
  }

  /// Lets it rest. Returns when no frame is in hand.
  public func pause() { work.pause() }

  /// Goes on after `pause`.
  public func resume() { work.resume() }

  /// Returns true as soon as no free frame is dirty and none in hand, false after `limit` or where it
  /// is stopped.
  public func waitUntilZeroed(atMost limit: Duration) -> Bool { work.waitUntilZeroed(limit) }

  public var statistics: Statistics { work.statistics(threads: threads.count) }
}
