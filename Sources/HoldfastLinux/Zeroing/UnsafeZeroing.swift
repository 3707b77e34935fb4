internal import CHoldfastLinux
internal import Glibc
internal import HoldfastCore
internal import Synchronization
internal import SystemPackage

/// Zeroing memory in the way that was chosen for this process, and choosing it.
enum Zeroing {
  /// Less than this may well be touched next, and is better left in a cache.
  private static let cached = 64 << 10
  /// What threads take at once.
  static let piece = 16 << 20

  private static let lock = Lock()
  // Protected by `lock`.
  nonisolated(unsafe) private static var choice: ZeroingChoice?
  nonisolated(unsafe) private static var isChoosing = false

  /// The kernel's number, for those who zero; -1 before the choice.
  private static let chosen = Atomic<Int32>(-1)
  /// What the environment names; a name that is none is the program's to complain of.
  private static let named = (try? ZeroingChoice.environment()) ?? nil
  private static let fallback = (named ?? .unmeasured).number

  /// Zeroes on the calling thread.
  ///
  /// SAFETY: the caller has `count` bytes that it may write to from `start` on.
  @inline(__always)
  static func zero(_ start: UnsafeMutableRawPointer, _ count: Int) {
    var kernel = Int32(HF_ZERO_MEMSET.rawValue)
    if count >= cached {
      kernel = chosen.load(ordering: .relaxed)
      if kernel < 0 { kernel = fallback }
    }
    unsafe hf_zero_by(kernel, start, count)
  }

  /// The memory that a candidate zeroes when it is measured: twice what the largest cache holds, so
  /// that nothing of it stays there, and enough for all threads to have several pieces.
  static let slice: Int = {
    let cache = max(0, sysconf(Int32(_SC_LEVEL3_CACHE_SIZE)))
    return min(max(64 << 20, 2 * cache), 512 << 20) / piece * piece
  }()

  /// Chooses on memory that is nobody's yet and zero, or may become so, unless that was done, is
  /// being done or there is too little of it.
  ///
  /// SAFETY: as `zero`; all of it may be written to by several threads.
  static func chooseOnce(on start: UnsafeMutableRawPointer, _ count: Int, threads: Int) {
    guard chosen.load(ordering: .relaxed) < 0, named == nil, count >= slice, begin() else { return }
    end(unsafe measure(on: start, count, threads: threads))
  }

  /// The choice of this process, made now on memory taken for it where none was made before.
  ///
  /// - Parameter available: what the host can spare.
  static func choiceMadeNow(threads: Int, available: ByteCount) -> ZeroingChoice {
    if begin() {
      do throws(Errno) {
        let size = ByteCount(UInt64(slice))
        guard available >= size + size else { throw .noMemory }
        let scratch = try HostRange.scratch(size)
        defer { scratch.release() }
        // SAFETY: the range is mapped writable, as long as a slice, and nobody else knows it.
        end(unsafe measure(on: scratch.pointer(at: .zero), slice, threads: threads))
      } catch {
        lock.withLock { unsafe isChoosing = false }
      }
    }
    // Without memory to spare, or while somebody else is choosing, there is nothing to tell.
    return made
      ?? ZeroingChoice(
        kernel: named ?? .unmeasured, origin: named == nil ? .unmeasured : .environment,
        threads: threads, speeds: [])
  }

  /// The choice, if there is one.
  static var made: ZeroingChoice? { lock.withLock { unsafe choice } }

  private static func begin() -> Bool {
    lock.withLock {
      guard unsafe choice == nil, unsafe !isChoosing else { return false }
      unsafe isChoosing = true
      return true
    }
  }

  private static func end(_ made: ZeroingChoice) {
    lock.withLock {
      unsafe choice = made
      unsafe isChoosing = false
    }
    chosen.store(made.kernel.number, ordering: .relaxed)
  }

  /// Measures all kernels on `count` bytes, of which it zeroes slice after slice.
  private static func measure(
    on start: UnsafeMutableRawPointer, _ count: Int, threads: Int
  ) -> ZeroingChoice {
    // An address, so that threads may share it.
    let address = UInt(bitPattern: start)
    var place = 0
    let clock = ContinuousClock()
    func speed(_ kernel: ZeroingKernel) -> Double {
      if place + slice > count { place = 0 }
      let origin = address + UInt(place)
      place += slice
      let number = kernel.number
      let begin = clock.now
      Workers.perform(slice / piece, threads: threads) { index in
        // SAFETY: the piece lies in the memory that the caller may write to.
        unsafe hf_zero_by(
          number, UnsafeMutableRawPointer(bitPattern: origin + UInt(index * piece))!, piece)
        return true
      }
      return Double(slice) / max((clock.now - begin).seconds, 1e-9)
    }
    // What the caches hold has to be written back before they can take anything else in: let them be
    // full of such lines from the start, as they will be, or the first would pay less than the next.
    _ = speed(.memset)
    let choice = ZeroingChoice.measured(threads: threads, speed: speed)
    guard let named else { return choice }
    return ZeroingChoice(
      kernel: named, origin: .environment, threads: threads, speeds: choice.speeds)
  }
}

extension ZeroingChoice {
  /// The choice of this process, made now if it was not made before: that takes some milliseconds
  /// and 64 to 512 MiB of memory, twice the largest cache, which are given back.
  public static func current(_ host: HostCapabilities) -> ZeroingChoice {
    Zeroing.choiceMadeNow(threads: host.parallelism, available: host.availableForGuests)
  }
}
