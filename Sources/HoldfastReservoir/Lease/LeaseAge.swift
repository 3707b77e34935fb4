internal import HoldfastLinux
internal import SystemPackage

/// The age of leases, which a clock that is set must not change: a seconds-old lease that seems to be
/// a year old would be collected.
///
/// The kernel notes the time of a lease as that of the file's last change (ctime), which no process
/// can set, but by the clock that can. So the lease's file gets the seconds since the boot as the
/// time of its last modification. A monitor may change that; a time that cannot be is ignored, and
/// the younger of two possible ages counts. The file systems are empty after a boot, so no lease is
/// older than that.
enum LeaseAge {
  /// Notes when a lease was made. Without it only the clock that can be set says.
  static func mark(_ file: OpenFile) { try? file.setModified(HostClock.now.boot) }

  /// The age in seconds, or nil where it is not known: the lease seems to be older than the boot.
  ///
  /// - Parameter advance: by how many seconds the clock is known to have been set forward.
  static func seconds(
    _ status: FileStatus, at now: HostClock, advance: Int64 = 0
  ) -> Int64? {
    seconds(changed: status.changed, modified: status.modified, at: now, advance: advance)
  }

  static func seconds(
    changed: Int64, modified: Int64, at now: HostClock, advance: Int64 = 0
  ) -> Int64? {
    let (difference, overflow) = now.real.subtractingReportingOverflow(changed)
    // A file can be as old as the boot, and is a second older where both are rounded.
    let byClock = !overflow && (0...max(0, now.boot) + 1).contains(difference) ? difference : nil
    if modified > 0, modified <= now.boot {
      let byMark = now.boot - modified
      return min(byMark, byClock ?? byMark)
    }
    // A time in the future: the clock was set back. Or the clock of the file system is ahead by a
    // fraction of a second.
    if byClock == nil, changed > now.real { return 0 }
    return byClock.map { max(0, $0 - advance) }
  }
}
