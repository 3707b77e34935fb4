internal import Glibc

/// The microseconds since the boot. Files on hugetlbfs do not outlive a boot, so a later lease of
/// the same device always has a greater number.
func microsecondsSinceBoot() -> UInt64 {
  var time = timespec()
  // SAFETY: the call writes to the structure, which lives until its end.
  _ = unsafe clock_gettime(CLOCK_BOOTTIME, &time)
  return UInt64(clamping: time.tv_sec) &* 1_000_000 &+ UInt64(clamping: time.tv_nsec / 1000)
}
