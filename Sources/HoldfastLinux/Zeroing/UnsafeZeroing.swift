internal import CHoldfastLinux
internal import Glibc
internal import HoldfastCore
internal import Synchronization
internal import SystemPackage

/// Zeroes memory in the way that was chosen for this process, and chooses it.
enum Zeroing {
  /// Less than this is likely to be accessed next, and is better left in a cache.
  private static let cached = 64 << 10
  /// The bytes that a thread takes at once.
  static let piece = 16 << 20

  private static let lock = Lock()
  // Protected by `lock`.
  nonisolated(unsafe) private static var choice: ZeroingChoice?
  nonisolated(unsafe) private static var isChoosing = false

  /// The number of the chosen kernel; -1 before the choice.
  private static let chosen = Atomic<Int32>(-1)
  /// The kernel that the environment names. The program reports an invalid name.
  private static let named = (try? ZeroingChoice.environment()) ?? nil
  private static let fallback = (named ?? .unmeasured).number

  /// Zeroes on the calling thread.
  ///
  /// SAFETY: the caller may write `count` bytes from `start`.
  @inline(__always)
  static func zero(_ start: UnsafeMutableRawPointer, _ count: Int) {
    var kernel = Int32(HF_ZERO_MEMSET.rawValue)
    if count >= cached {
      kernel = chosen.load(ordering: .relaxed)
      if kernel < 0 { kernel = fallback }
    }
    unsafe hf_zero_by(kernel, start, count)
  }

  /// The bytes that a measurement zeroes: max(64 MiB, 2 x L3), at most 512 MiB. So the caches keep
  /// nothing of it for the next one, and each thread has several pieces.
  static let slice: Int = {
    let cache = max(0, sysconf(Int32(_SC_LEVEL3_CACHE_SIZE)))
    return min(max(64 << 20, 2 * min(cache, 256 << 20)), 512 << 20) / piece * piece
  }()

  /// Chooses in memory that is not in use and that may be zeroed, unless the choice was made, is
  /// being made, or `count` is less than a slice.
  ///
  /// SAFETY: as for `zero`; several threads may write all of it.
  static func chooseOnce(on start: UnsafeMutableRawPointer, _ count: Int, threads: Int) {
    guard chosen.load(ordering: .relaxed) < 0, named == nil, count >= slice, begin() else { return }
    end(unsafe measure(on: start, count, threads: threads))
  }

  /// The choice of this process, made now in memory taken for it if it was not made before.
  ///
  /// - Parameter available: the memory that the host has available; less than two slices of it
  ///   leaves the choice unmade.
  static func choiceMadeNow(threads: Int, available: ByteCount) -> ZeroingChoice {
    if begin() {
      do throws(Errno) {
        let size = ByteCount(UInt64(slice))
        guard available >= size + size else { throw .noMemory }
        let scratch = try HostRange.scratch(size)
        defer { scratch.unmap() }
        // SAFETY: the range is mapped writable, as long as a slice, and no other thread knows it.
        end(unsafe measure(on: scratch.pointer(at: .zero), slice, threads: threads))
      } catch {
        lock.withLock { unsafe isChoosing = false }
      }
    }
    // Without memory to spare, or while another thread is choosing, there is no measurement.
    return made
      ?? ZeroingChoice(
        kernel: named ?? .unmeasured, origin: named == nil ? .unmeasured : .environment,
        threads: threads, speeds: [])
  }

  /// The choice, or nil before it is made.
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

  /// Measures all kernels in `count` bytes, zeroing one slice after the other.
  private static func measure(
    on start: UnsafeMutableRawPointer, _ count: Int, threads: Int
  ) -> ZeroingChoice {
    // A number, so that threads may share it.
    let address = UInt(bitPattern: start)
    var offset = 0
    func speed(_ kernel: ZeroingKernel) -> Double {
      if offset + slice > count { offset = 0 }
      let origin = address + UInt(offset)
      offset += slice
      let number = kernel.number
      let begin = Instant.now
      Workers.perform(slice / piece, threads: threads) { index in
        // SAFETY: the piece is in the memory that the caller may write.
        unsafe hf_zero_by(
          number, UnsafeMutableRawPointer(bitPattern: origin + UInt(index * piece))!, piece)
        return true
      }
      return Double(slice) / max((Instant.now - begin).seconds, 1e-9)
    }
    // A modified line must be written back before its cache can hold another. Fill the caches with
    // such lines first, as they are in use, or the first kernel would have an advantage.
    _ = speed(.memset)
    let choice = ZeroingChoice.measured(threads: threads, speed: speed)
    guard let named else { return choice }
    return ZeroingChoice(
      kernel: named, origin: .environment, threads: threads, speeds: choice.speeds)
  }
}

extension ZeroingChoice {
  /// The choice of this process, made now if it was not made before. That takes some milliseconds
  /// and max(64 MiB, 2 x L3 cache) of memory, at most 512 MiB, which is returned.
  ///
  /// - Parameter host: decides the number of threads, and whether the memory is available.
  public static func current(_ host: HostCapabilities) -> ZeroingChoice {
    Zeroing.choiceMadeNow(threads: host.parallelism, available: host.availableForGuests)
  }
}
