import Foundation
import HoldfastCore
import SystemPackage
import Testing

@testable import HoldfastLinux

/// Files that have their name when they are complete.
@Suite struct ImageFileTests {
  private func withFolder(_ body: (Folder, String) throws -> Void) throws {
    let place = FileManager.default.temporaryDirectory.appending(path: "holdfast-\(UUID())")
    try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: place) }
    try body(try Folder.open(path: place.path), place.path)
  }

  @Test(arguments: [true, false])
  func `a finished file has its name, in place of an older file`(nameless: Bool) throws {
    try withFolder { folder, path in
      for (round, length) in [10_000, 20_001].enumerated() {
        let file = try ImageFile(
          in: folder, name: "image", size: ByteCount(UInt64(length)), nameless: nameless)
        var bytes = [UInt8](repeating: 0, count: length)
        bytes[5000] = 7
        bytes[length - 1] = 8
        let written = try file.write(bytes.span.bytes, at: .zero)
        // The block of the first byte, and the last block, which the end of the file cuts.
        #expect(written == ByteCount(UInt64(4096 + length % 4096)))
        #expect(try folder.names().contains("image") == (round > 0))
        try file.finish()
        #expect(try folder.names() == ["image"])
        let found = try Data(contentsOf: URL(filePath: path + "/image"))
        #expect([UInt8](found) == bytes)
        #expect(try folder.status("image").permissions == 0o600)
      }
    }
  }

  @Test(arguments: [true, false])
  func `an unfinished file leaves nothing behind`(nameless: Bool) throws {
    try withFolder { folder, _ in
      do {
        let file = try ImageFile(
          in: folder, name: "image", size: .mebibytes(1), nameless: nameless)
        let bytes = [UInt8](repeating: 1, count: 8192)
        #expect(try file.write(bytes.span.bytes, at: .kibibytes(64)) == .kibibytes(8))
        if !nameless { #expect(try folder.names().count == 1) }
      }
      #expect(try folder.names() == [])
    }
  }

  @Test(arguments: [true, false])
  func `a name that cannot be used is an error that leaves nothing behind`(nameless: Bool) throws {
    try withFolder { folder, path in
      try folder.makeFolder("image", permissions: 0o755)
      do {
        let file = try ImageFile(in: folder, name: "image", size: .zero, nameless: nameless)
        #expect(throws: Errno.self) { try file.finish() }
      }
      #expect(try folder.names() == ["image"])
    }
  }
}
