import Glibc

/// A file's memory.
final class StressMemory {
  let status: stat
  private let start: UnsafeMutableRawPointer
  private var length: Int { Int(status.st_size) }

  init(_ path: String) throws {
    let file = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW)
    defer { close(file) }
    var status = stat()
    guard file >= 0, fstat(file, &status) == 0,
      let start = mmap(nil, Int(status.st_size), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0),
      start != MAP_FAILED
    else { throw LeaseLedger.Problem(description: "\(path) cannot be mapped: \(errno)") }
    self.status = status
    self.start = start
  }

  deinit { munmap(start, length) }

  var isZero: Bool {
    start.load(as: UInt8.self) == 0 && memcmp(start, start + 1, length - 1) == 0
  }

  private func pattern(_ name: String) -> [UInt8] {
    Array((Array(name.utf8) + Array(repeating: 32, count: 16)).prefix(16))
  }

  /// Fills the memory with a name.
  func mark(_ name: String) {
    memcpy(start, pattern(name), 16)
    var done = 16
    while done < length {
      memcpy(start + done, start, min(done, length - done))
      done *= 2
    }
  }

  func has(_ name: String) -> Bool {
    memcmp(start, pattern(name), 16) == 0 && memcmp(start, start + 16, length - 16) == 0
  }
}
