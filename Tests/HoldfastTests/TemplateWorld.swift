import Foundation
import Glibc
import Holdfast
import HoldfastCore
import HoldfastLinux
import HoldfastTemplate
import HoldfastTestKit
import Testing

/// A template of 16 MiB, each word of which differs from all others.
struct TemplateWorld {
  static let size = ByteCount.mebibytes(16)
  static let all = AddressRange(from: .zero, to: .zero + size)
  static let base = try! TemplateName("base")

  let place: TemplatePlace
  let store: TemplateStore
  /// The template's bytes.
  let bytes: [UInt8]

  /// - Parameter fills: whether all pages have contents; else many are zero.
  init(_ kind: TemplatePlace.Kind = .tmpfs, seed: UInt64 = 1, fills: Bool = true) throws {
    place = try #require(TemplatePlace(kind))
    store = try TemplateStore(mount: place.path)
    bytes = fills ? Self.words(seed) : SparsePattern.bytes(16 << 20, seed: seed)
    let guest = try Self.guest(bytes)
    _ = try guest.seal(Self.all, to: store, as: Self.base, state: [1, 2, 3])
  }

  private static func words(_ seed: UInt64) -> [UInt8] {
    var words = [UInt64](repeating: 0, count: 2 << 20)
    for index in words.indices { words[index] = word(UInt64(index) * 8, seed) }
    return words.withUnsafeBytes { Array($0) }
  }

  /// The word at an address of a template that has contents everywhere.
  static func word(_ address: UInt64, _ seed: UInt64 = 1) -> UInt64 {
    (address &+ seed &* 2 &+ 1) &* 0x9E37_79B9_7F4A_7C15
  }

  /// A guest with bytes in memory.
  static func guest(_ bytes: [UInt8], backing: Backing = .base) throws -> GuestMemory {
    let arena = try Arena(size: .mebibytes(32), for: .paging, backing: backing, threads: 2)
    let guest = try GuestMemory(
      arena: arena, limit: .mebibytes(16), demandPaging: DemandPaging(granularity: .basePage))
    try guest.map(try guest.allocateSegment("ram", size: .mebibytes(16)), at: .zero)
    for start in stride(from: 0, to: bytes.count, by: 4096) {
      let page = bytes[start..<start + 4096]
      if page.contains(where: { $0 != 0 }) {
        try guest.write(Array(page), to: Address(UInt64(start)))
      }
    }
    return guest
  }

  func template() throws -> Template { try store.template(Self.base) }

  func clone(
    _ backing: Backing = .base, _ granularity: FaultGranularity = .largePage,
    arena: ByteCount = .mebibytes(24), _ options: WorkingSetOptions = .off,
    onFailure: @escaping FaultHandler.FailureHandler = { _ in .pause }
  ) throws -> GuestMemory {
    let arena = try Arena(size: arena, for: .paging, backing: backing, threads: 2)
    return try GuestMemory(
      cloning: template(), arena: arena,
      demandPaging: DemandPaging(granularity: granularity, onFailure: onFailure),
      workingSet: options)
  }

  /// The first page of the guest's window that differs from the template's bytes.
  func mismatch(_ guest: GuestMemory) -> Int? {
    let base = UnsafeRawPointer(bitPattern: UInt(guest.hostAddress))!
    return bytes.withUnsafeBytes { expected in
      stride(from: 0, to: expected.count, by: 4096).first {
        memcmp(base + $0, expected.baseAddress! + $0, 4096) != 0
      }
    }
  }

  /// The bytes of the memory file, without Holdfast's code.
  func fileBytes() throws -> [UInt8] {
    let file = open(try template().memoryPath, O_RDONLY | O_CLOEXEC)
    try #require(file >= 0)
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: 16 << 20)
    var done = 0
    while done < bytes.count {
      let count = bytes.withUnsafeMutableBytes {
        read(file, $0.baseAddress! + done, $0.count - done)
      }
      try #require(count > 0)
      done += count
    }
    return bytes
  }

  /// Replaces the record of the template's working set.
  func setRecord(_ bytes: [UInt8]) throws {
    try Data(bytes).write(to: URL(filePath: template().path + "/touched"))
  }

  func removeRecord() throws {
    try FileManager.default.removeItem(atPath: template().path + "/touched")
  }

  /// A record as its format is documented.
  static func record(pageSize: UInt64, _ pages: [UInt32], count: UInt64? = nil) -> [UInt8] {
    var bytes = Array("holdfast-touched-1\n".utf8)
    withUnsafeBytes(of: pageSize.littleEndian) { bytes += $0 }
    withUnsafeBytes(of: (count ?? UInt64(pages.count)).littleEndian) { bytes += $0 }
    for page in pages { withUnsafeBytes(of: page.littleEndian) { bytes += $0 } }
    return bytes
  }

  static func kinds() -> [TemplatePlace.Kind] {
    [.tmpfs, .disk] + (HostNeeds.isRoot && HostNeeds.hugePages(.mebibytes(96)) ? [.hugetlbfs] : [])
  }
}
