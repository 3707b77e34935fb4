internal import Synchronization

/// Free frames that somebody has allocated only to zero them and to free them again, and that
/// allocations may call back: a shortage that is there just because frames are being zeroed is none.
///
/// Who zeroes brackets each block: `begin`, `FrameAllocator.takeDirty`, zero it piece by piece as long
/// as `isCalledBack` is false, free what became zero as zeroed and the rest as it was, `end`. He holds
/// no lock meanwhile that an allocation may be made with, and needs none but the allocator's to give
/// back.
///
/// An allocation that would get less than it asks for, while a loan is out or has come back since it
/// began to look, calls back: from then on `begin` refuses, the allocation waits until no loan is out,
/// and looks once more. It then sees what it would have seen if nobody had ever zeroed. It waits with
/// its callers' locks held (an object's, for one), for the time that one piece takes to zero.
///
/// Where all processors are busy a thread of idle priority may not get to run for a while. So whoever
/// has waited for longer than a piece takes asks that the threads hurry (`whenHurried`), and who would
/// get a smaller block at least waits for `patience` at most. Who would fail waits until the frames are
/// there: giving up would be the failure that is to be avoided.
///
/// Its lock comes after the allocator's, and is not held while anything is waited for.
public final class ScrubbingFrames: Sendable {
  /// How long an allocation waits for a larger block, and before it asks for hurry; both are long
  /// against the zeroing of a piece.
  static let patience = Duration.milliseconds(20)
  static let calm = Duration.milliseconds(1)

  private let lock = Lock()
  // Protected by `lock`.
  private nonisolated(unsafe) var out = 0
  private nonisolated(unsafe) var callers = 0
  /// Somebody's patience has ended, and no loan has come back since.
  private nonisolated(unsafe) var isStuck = false
  private nonisolated(unsafe) var calls: UInt64 = 0
  private nonisolated(unsafe) var helpers: [Int: @Sendable () -> Void] = [:]
  private nonisolated(unsafe) var helperCount = 0

  /// The loans that came back, times 2^16, and those that are out. Written under `lock`.
  private let history = Atomic<UInt64>(0)
  private let called = Atomic<Bool>(false)
  /// Announced when no loan is out any more.
  private let settled = Event()

  /// Counts the times that frames were freed dirty.
  private let dirtied = Atomic<UInt64>(0)
  /// Somebody is waiting for that.
  private let isAwaited = Atomic<Bool>(false)
  /// Announced when frames were freed dirty and somebody waits for that, and by `wake`.
  private let news = Event()

  init() {}

  // MARK: Who zeroes

  /// A loan is about to be taken. False while allocations call back: nothing may be taken then.
  public func begin() -> Bool {
    lock.withLock {
      guard unsafe callers == 0 else { return false }
      unsafe out += 1
      history.wrappingAdd(1, ordering: .sequentiallyConsistent)
      return true
    }
  }

  /// The loan is back: all of its frames were freed, or there were none.
  public func end() {
    let isSettled = lock.withLock {
      unsafe precondition(out > 0, "a loan ends that never began")
      unsafe out -= 1
      unsafe isStuck = false
      history.wrappingAdd((1 << 16) - 1, ordering: .sequentiallyConsistent)
      return unsafe out == 0 && callers > 0
    }
    if isSettled { settled.announce() }
  }

  /// Has `body` called, on any thread and with no lock of this class held, when somebody has waited for
  /// a loan for longer than a piece takes to zero: it raises the priority of those who zero.
  ///
  /// - Returns: what to give to `forget`.
  public func whenHurried(_ body: @escaping @Sendable () -> Void) -> Int {
    lock.withLock {
      unsafe helperCount += 1
      unsafe helpers[helperCount] = body
      return unsafe helperCount
    }
  }

  /// Ends `whenHurried`.
  public func forget(_ helper: Int) {
    lock.withLock { unsafe helpers[helper] = nil }
  }

  /// Whether loans are to come back at once. Cheap enough to ask before each piece.
  public var isCalledBack: Bool { called.load(ordering: .relaxed) }

  /// How often loans were called back so far.
  public var callbacks: UInt64 { lock.withLock { unsafe calls } }

  /// How far the history of frames freed dirty is: to be read before looking for dirty frames.
  public var dirt: UInt64 { dirtied.load(ordering: .sequentiallyConsistent) }

  /// Returns once frames were freed dirty after `mark` was read, or `wake` was called, or at once where
  /// `isOver` says so.
  public func waitForDirt(after mark: UInt64, unless isOver: () -> Bool) {
    let ticket = news.ticket()
    isAwaited.store(true, ordering: .sequentiallyConsistent)
    if dirt != mark || isOver() { return }
    news.wait(since: ticket)
  }

  /// Returns after `time`, or when `wake` is called, or at once where `isOver` says so. Frames that are
  /// freed may end it too.
  public func rest(_ time: Duration, unless isOver: () -> Bool) {
    let ticket = news.ticket()
    if isOver() { return }
    _ = news.wait(since: ticket, atMost: time)
  }

  /// Wakes all who wait for dirt or rest.
  public func wake() { news.announce() }

  // MARK: The allocator

  /// What `wereOut` compares with: to be read before the allocator's lock is taken.
  var mark: UInt64 { history.load(ordering: .sequentiallyConsistent) }

  /// Whether a loan may have been out since `mark` was read. Called with the allocator's lock held,
  /// after what is free was looked at.
  func wereOut(since mark: UInt64) -> Bool {
    let now = self.mark
    return now != mark || now & 0xFFFF != 0
  }

  /// Calls `body` when no loan is out, or patience is at its end, and lets none begin meanwhile.
  ///
  /// - Parameter isPatient: waits as long as it takes.
  func callBack<Result>(isPatient: Bool, _ body: () -> Result) -> Result {
    lock.lock()
    unsafe callers += 1
    unsafe calls += 1
    called.store(true, ordering: .relaxed)
    var limit = Self.calm
    while unsafe out > 0, unsafe isPatient || !isStuck {
      let ticket = settled.ticket()
      let helpers = unsafe limit == Self.calm ? [] : Array(self.helpers.values)
      lock.unlock()
      // Who rests with frames in hand, as his rate says, is to know.
      news.announce()
      for hurry in helpers { hurry() }
      let isSettled = settled.wait(since: ticket, atMost: limit)
      lock.lock()
      if !isSettled, unsafe out > 0, limit == Self.patience { unsafe isStuck = true }
      limit = Self.patience
    }
    lock.unlock()
    let result = body()
    lock.withLock {
      unsafe callers -= 1
      if unsafe callers == 0 { called.store(false, ordering: .relaxed) }
    }
    return result
  }

  /// Frames were freed dirty. Called without the allocator's lock.
  func noteDirt() {
    dirtied.wrappingAdd(1, ordering: .sequentiallyConsistent)
    guard isAwaited.load(ordering: .sequentiallyConsistent),
      isAwaited.exchange(false, ordering: .sequentiallyConsistent)
    else { return }
    news.announce()
  }
}
