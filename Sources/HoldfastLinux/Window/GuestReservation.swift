internal import HoldfastCore
internal import SystemPackage

/// What both kinds of window do with the addresses that they reserve for a guest.
enum GuestReservation {
  /// Reserves addresses, aligned to 1 GiB, so that superpages of guest addresses are superpages
  /// there.
  ///
  /// - Throws: code `host`.
  static func range(_ length: ByteCount) throws(HoldfastError) -> HostRange {
    do throws(Errno) {
      return try HostRange.reserve(length, alignment: .gibibytes(1))
    } catch {
      // EAGAIN: after mlockall(MCL_FUTURE) all that is mapped counts as locked.
      throw HoldfastError(
        .host, operation: "reserve \(length) of addresses for a guest", reason: "mmap(2) failed",
        errno: error.rawValue,
        advice: .raiseLimit(
          error == .resourceTemporarilyUnavailable
            ? "RLIMIT_MEMLOCK (ulimit -l unlimited)" : "RLIMIT_AS (ulimit -v unlimited)"))
    }
  }

  /// The error of all that a guest attempts after its access has ended.
  static func loss(_ error: Errno) -> HoldfastError {
    HoldfastError(
      .host,
      "the guest's access to its memory has ended for good, because the kernel failed to remove a "
        + "translation",
      errno: error.rawValue, advice: .raiseLimit("vm.max_map_count"))
  }
}

extension HostRange {
  /// Removes all access to the range, a window of an arena, however many mappings the process has.
  ///
  /// Where the kernel refuses that, the guest still reaches the frames that are mapped here. So the
  /// arena gives out none of its frames any more.
  ///
  /// - Returns: whether the range is one mapping now.
  func endAccess(to arena: Arena) -> Bool {
    let all = 0..<length.rawValue
    do throws(Errno) {
      try reserveFixed(all)
      return true
    } catch {
      // Beyond vm.max_map_count mmap(2) replaces nothing, but mprotect(2) of whole mappings splits
      // none and allocates nothing that it cannot do without.
      do throws(Errno) {
        try protect(all, [])
        return false
      } catch {
        // Only a filter of system calls refuses both.
        arena.allocator.close()
        return false
      }
    }
  }
}
