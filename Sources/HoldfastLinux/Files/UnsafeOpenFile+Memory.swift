internal import CHoldfastLinux
package import SystemPackage

extension OpenFile {
  /// A new file in memory without a name, of ordinary pages. The corresponding C function is
  /// `memfd_create`.
  ///
  /// - Parameter bytes: its contents.
  package static func inMemory(_ bytes: [UInt8] = []) throws(Errno) -> OpenFile {
    let result = unsafe hf_memfd_create("holdfast", 0)
    try check(result)
    let file = OpenFile(descriptor: result)
    try file.fill(with: bytes)
    return file
  }
}
