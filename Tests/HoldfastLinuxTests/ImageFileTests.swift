import Foundation
import HoldfastCore
import HoldfastTestKit
import Synchronization
import SystemPackage
import Testing

@testable import HoldfastLinux

/// Files that have their name when they are complete.
struct ImageFileTests {
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

  private static let length = 8 << 20

  /// Runs of zeros and of other bytes, of all lengths from a block to a hundred.
  private func pattern(_ random: inout SeededGenerator) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: Self.length)
    var block = 0
    while block < bytes.count / 4096 {
      let blocks = Int.random(in: 1...(Bool.random(using: &random) ? 2 : 100), using: &random)
      if Bool.random(using: &random) {
        for index in block..<min(block + blocks, bytes.count / 4096) {
          bytes[index * 4096 + Int.random(in: 0..<4096, using: &random)] = 1
        }
      }
      block += blocks
    }
    return bytes
  }

  @Test(arguments: [1, 2, 3] as [UInt64])
  func `runs of all lengths are where they belong, written by several threads`(
    seed: UInt64
  ) throws {
    try withFolder { folder, path in
      var random = SeededGenerator(seed: seed)
      let bytes = pattern(&random)
      for threads in [1, 4] {
        let image = try ImageFile(
          in: folder, name: "image", size: ByteCount(UInt64(bytes.count)))
        let written = Atomic<UInt64>(0)
        let failures = Atomic<Int>(0)
        Workers.perform(bytes.count >> 20, threads: threads) { piece in
          do {
            let part = bytes[piece << 20..<(piece + 1) << 20]
            let count = try TransferBuffer(.mebibytes(1)).withBytes(.mebibytes(1)) {
              (span) throws(HoldfastError) in
              for (offset, byte) in part.enumerated() {
                span.storeBytes(of: byte, toByteOffset: offset, as: UInt8.self)
              }
              do throws(Errno) {
                return try image.write(span.bytes, at: .mebibytes(UInt64(piece)))
              } catch {
                throw HoldfastError(.host, "\(error)")
              }
            }
            written.wrappingAdd(count.rawValue, ordering: .relaxed)
          } catch {
            failures.wrappingAdd(1, ordering: .relaxed)
          }
          return true
        }
        try image.finish()
        let filled = stride(from: 0, to: bytes.count, by: 4096).count { start in
          bytes[start..<start + 4096].contains { $0 != 0 }
        }
        #expect(failures.load(ordering: .relaxed) == 0)
        #expect(written.load(ordering: .relaxed) == UInt64(filled << 12))
        #expect(try [UInt8](Data(contentsOf: URL(filePath: path + "/image"))) == bytes)
        let status = try folder.status("image")
        // Nothing is allocated that was not written, but for the file system's own blocks.
        #expect(status.allocated <= ByteCount(UInt64(filled << 12 + 1 << 20)))
      }
    }
  }
}
