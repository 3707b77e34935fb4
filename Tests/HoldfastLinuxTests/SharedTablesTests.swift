import Foundation
import HoldfastCore
import HoldfastTestKit
import Testing

@testable import HoldfastLinux

/// Page tables that windows share with the arena's direct map, against pagemap and /proc/self/maps.
@Suite(
  .serialized,
  .enabled(if: HostNeeds.canReserve, "needs root and a writable nr_hugepages for 2 MiB pages"))
struct SharedTablesTests {}

extension SharedTablesTests {
  @Test func `the kernel was asked, and a control refutes an answer that is always yes`() throws {
    try SharedTablesPlace.with { place in
      // Linux on x86-64 has shared them since 2.6.20.
      #if arch(x86_64)
        #expect(place.arena.sharesPageTables)
      #endif
    }
  }

  @Test(arguments: TableSharing.allCases)
  func `a whole GiB is present, and accesses do not fault`(_ sharing: TableSharing) throws {
    try SharedTablesPlace.with { place in
      let window = try place.window(sharing)
      try place.enter(window, at: 512, 0..<512)
      #expect(try place.present(window.hostRange.address + SharedTablesPlace.gibibyte).count == 512)
      let count = place.faults {
        for page in 0..<UInt64(512) {
          let place = UInt(
            window.hostRange.address + SharedTablesPlace.gibibyte + page * SharedTablesPlace.page
              + 8)
          UnsafeMutablePointer<UInt64>(bitPattern: place)!.pointee = page
        }
      }
      // The array of the loop may take one.
      #expect(count < 8)
      for page in 0..<UInt64(512) { #expect(place.number(window, 512 + page) == page) }
    }
  }

  @Test(arguments: TableSharing.allCases)
  func `frames that lie elsewhere in their GiB are present`(_ sharing: TableSharing) throws {
    try SharedTablesPlace.with { place in
      let window = try place.window(sharing)
      try place.enter(window, at: 100, 0..<512)
      #expect(
        try place.present(window.hostRange.address + 100 * SharedTablesPlace.page).count == 512)
      for page in 0..<UInt64(512) { #expect(place.number(window, 100 + page) == page) }
    }
  }

  @Test(arguments: TableSharing.allCases)
  func `what is beside a removed part stays present`(_ sharing: TableSharing) throws {
    try SharedTablesPlace.with { place in
      let window = try place.window(sharing)
      try place.enter(window, at: 0, 0..<512)
      window.remove(place.range(7..<9))
      let expected = Set(0..<UInt64(512)).subtracting([7, 8])
      #expect(try place.present(window.hostRange.address) == expected)
      #expect(try place.present(place.direct).count == 512)
      // Another guest's frames there do not disturb the rest either.
      try place.enter(window, at: 7, 8..<9)
      #expect(try place.present(window.hostRange.address) == expected.union([7]))
      #expect(place.number(window, 7) == 8 && place.number(window, 6) == 6)
      window.remove(place.range(0..<512))
      #expect(try place.present(window.hostRange.address).isEmpty)
      #expect(try place.present(place.direct).count == 512)
    }
  }

  @Test(arguments: TableSharing.allCases)
  func `protecting keeps all present, and binds this window alone`(_ sharing: TableSharing) throws {
    try SharedTablesPlace.with { place in
      let (window, other) = (try place.window(sharing), try place.window(sharing))
      try place.enter(window, at: 0, 0..<512)
      try place.enter(other, at: 0, 0..<512)
      window.protect(place.range(3..<4), .read)
      window.protect(place.range(0..<512), .read)
      #expect(try place.present(window.hostRange.address).count == 512)
      #expect(try place.access(window, 3) == "r--s" && place.access(window, 4) == "r--s")
      #expect(try place.access(other, 3) == "rw-s")
      // The write would end the process if the tables were still one.
      UnsafeMutablePointer<UInt64>(bitPattern: UInt(other.hostRange.address + 8))!.pointee = 77
      #expect(place.faults { _ = place.number(window, 3) } == 0)
      #expect(
        UnsafePointer<UInt64>(bitPattern: UInt(window.hostRange.address + 8))!.pointee == 77)
    }
  }

  @Test(arguments: TableSharing.allCases)
  func `a guest that is gone reaches no frame of the next`(_ sharing: TableSharing) throws {
    try SharedTablesPlace.with { place in
      let first = try place.window(sharing)
      try place.enter(first, at: 0, 0..<512)
      first.remove(place.range(0..<512))
      let next = try place.window(sharing)
      try place.enter(next, at: 0, 0..<512)
      #expect(try place.present(first.hostRange.address).isEmpty)
      #expect(try place.access(first, 0) == "---p")
      UnsafeMutablePointer<UInt64>(bitPattern: UInt(next.hostRange.address))!.pointee = 99
      #expect(try place.present(first.hostRange.address).isEmpty)
      #expect(try place.present(next.hostRange.address).count == 512)
    }
  }

  @Test(arguments: TableSharing.allCases)
  func `the end of a window leaves the direct map and others as they were`(
    _ sharing: TableSharing
  ) throws {
    try SharedTablesPlace.with { place in
      let other = try place.window(sharing)
      try place.enter(other, at: 0, 0..<512)
      do {
        let window = try place.window(sharing)
        try place.enter(window, at: 0, 0..<512)
      }
      #expect(
        try place.present(place.direct).count == 512
          && place.present(other.hostRange.address).count == 512)
      for page in 0..<UInt64(512) { #expect(place.number(other, page) == page) }
    }
  }

  /// The direct map itself may lose a table, as when a page migrates.
  @Test func `a table that the direct map lost is not taken for one that it has`() throws {
    try SharedTablesPlace.with { place in
      try place.arena.directMap.range.dropTranslations(0..<SharedTablesPlace.gibibyte)
      #expect(try place.present(place.direct).isEmpty)
      let window = try place.window(.asked)
      try place.enter(window, at: 0, 0..<512)
      #expect(try place.present(window.hostRange.address).count == 512)
    }
  }
}
