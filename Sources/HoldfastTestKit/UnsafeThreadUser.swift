internal import Glibc

/// The user as whom one thread acts. In the kernel each thread has its own; the functions of glibc
/// change all of them.
package enum ThreadUser {
  /// Calls `body` with the effective user ID of this thread alone changed, which needs root. The
  /// kernel reports that user to a process at the other end of a connection.
  ///
  /// - Returns: nil where the user could not be changed.
  package static func with<Result>(
    _ user: UInt32, _ body: () throws -> Result
  ) rethrows -> Result? {
    guard set(user) else { return nil }
    defer { _ = set(0) }
    return try body()
  }

  private static func set(_ user: UInt32) -> Bool {
    typealias Call = @convention(c) (Int, Int, Int, Int) -> Int
    // SAFETY: `syscall` of the C library takes and returns words. Without floating-point arguments
    // a variadic function is called as any other.
    guard let place = unsafe dlsym(nil, "syscall") else { return false }
    let call = unsafe unsafeBitCast(place, to: Call.self)
    // setresuid(2).
    #if arch(x86_64)
      let number = 117
    #else
      let number = 147
    #endif
    return call(number, -1, Int(user), -1) == 0
  }
}
