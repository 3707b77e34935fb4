internal import CHoldfastBench
internal import Glibc
internal import SystemPackage

/// Programs that are run to their end.
enum EndedProgram {
  /// Runs a program, found as by the shell.
  ///
  /// - Parameters:
  ///   - input: what it reads, some bytes.
  ///   - descriptor: stays open in it, by its number.
  /// - Returns: its status, or 128 and the number of the signal that ended it, the beginning of
  ///   what it has written, and its minor page faults.
  static func run(
    _ words: [String], input: String, keeping descriptor: Int32?
  ) throws(Errno) -> (status: Int32, output: String, faults: Int64) {
    if words.contains(where: { $0.utf8.contains(0) }) { throw .invalidArgument }
    // SAFETY: the words are copies that live until after the call; the list ends in nil.
    var pointers = unsafe words.map { unsafe strdup($0) } + [nil]
    defer { for index in unsafe pointers.indices { unsafe free(pointers[index]) } }
    var output = [CChar](repeating: 0, count: 4096)
    var faults: Int64 = 0
    // SAFETY: all of them live through the call, which writes no more than there is room.
    let status = unsafe pointers.withUnsafeMutableBufferPointer { words in
      unsafe output.withUnsafeMutableBufferPointer { output in
        unsafe hf_bench_run(
          words.baseAddress!, input, descriptor ?? -1, output.baseAddress!, output.count, &faults)
      }
    }
    if status < 0 { throw Errno(rawValue: -status) }
    let bytes = output.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
    return (status, String(decoding: bytes, as: UTF8.self), faults)
  }
}

extension EndedProgram {
  /// Runs a program up to its first output, and ends it.
  ///
  /// - Returns: the bytes that it had resident at most.
  static func peak(_ words: [String]) throws(Errno) -> Int64 {
    if words.contains(where: { $0.utf8.contains(0) }) { throw .invalidArgument }
    // SAFETY: the words are copies that live until after the call; the list ends in nil.
    var pointers = unsafe words.map { unsafe strdup($0) } + [nil]
    defer { for index in unsafe pointers.indices { unsafe free(pointers[index]) } }
    let peak = unsafe pointers.withUnsafeMutableBufferPointer {
      unsafe hf_bench_peak($0.baseAddress!)
    }
    guard peak >= 0 else { throw Errno(rawValue: Int32(-peak)) }
    return peak
  }
}

enum ResidentFile {
  /// Maps a file that is resident, and reads a byte of each of its pages, one after the other.
  ///
  /// - Returns: the seconds that took, and the page faults.
  static func touch(
    _ descriptor: Int32, length: UInt64, pageSize: UInt64
  ) throws(Errno) -> (seconds: Double, faults: Int64) {
    var faults: Int64 = 0
    // SAFETY: `faults` lives through the call, and the mapping does not outlive it.
    let seconds = unsafe hf_bench_touch_pages(descriptor, Int(length), Int(pageSize), &faults)
    if seconds < 0 { throw Errno(rawValue: Int32(-seconds)) }
    return (seconds, faults)
  }
}
