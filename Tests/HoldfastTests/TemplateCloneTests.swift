import Foundation
import Glibc
import Holdfast
import HoldfastCore
import HoldfastLinux
import HoldfastTemplate
import HoldfastTestKit
import Synchronization
import Testing

/// Guests whose memory is a template's.
@Suite(.enabled(if: HostNeeds.userFault, "\(HostNeeds.userFaultComment)"))
struct TemplateCloneTests {}

extension TemplateCloneTests {
  @Test func `a clone has the template's bytes and keeps its writes to itself`() throws {
    try HugePageLock.withLock {
      for kind in TemplateWorld.kinds() {
        for fills in [true, false] {
          let world = try TemplateWorld(kind, fills: fills)
          #expect(try world.fileBytes().isSame(as: world.bytes), "\(kind)")
          #expect(try world.template().state() == [1, 2, 3])
          for backing in DemandPagingTests.backings() {
            for granularity in [FaultGranularity.largePage, .basePage] {
              try check(world, backing, granularity, "\(kind) \(backing) \(granularity)")
            }
          }
        }
      }
    }
  }

  private func check(
    _ world: TemplateWorld, _ backing: Backing, _ granularity: FaultGranularity, _ what: String
  ) throws {
    let first = try world.clone(backing, granularity)
    let second = try world.clone(backing, granularity)
    #expect(first.residency(in: TemplateWorld.all).residentBytes == .zero, "\(what)")
    #expect(world.mismatch(first) == nil, "\(what)")
    // To pages that are resident, and in the second clone to absent ones.
    for guest in [first, second] {
      let touch = GuestAccess(guest)
      for address in stride(from: UInt64(8), to: 16 << 20, by: 12288) {
        touch.write(address ^ 0xFFFF, to: address)
      }
      #expect(
        touch.firstMismatch(in: 8..<(16 << 20), step: 12288) { $0 ^ 0xFFFF } == nil, "\(what)")
      #expect(guest.invariantProblems() == [], "\(what)")
    }
    #expect(try world.fileBytes().isSame(as: world.bytes), "\(what)")
    let third = try world.clone(backing, granularity)
    #expect(world.mismatch(third) == nil, "\(what)")
  }

  @Test func `a template is not removed while a clone or its fork exists`() throws {
    let world = try TemplateWorld()
    var guest: GuestMemory? = try world.clone()
    func code() -> HoldfastError.Code? {
      do {
        _ = try world.store.remove(TemplateWorld.base)
        return nil
      } catch {
        return error.code
      }
    }
    #expect(code() == .busy)
    var child: GuestMemory? = try #require(guest).fork().child
    guest = nil
    #expect(code() == .busy)
    #expect(world.mismatch(try #require(child)) == nil)
    #expect(try #require(child).invariantProblems() == [])
    child = nil
    #expect(code() == nil)
    #expect(throws: HoldfastError.self) { try world.template() }
  }

  @Test func `parts of a template are mapped where the guest wants them`() throws {
    let world = try TemplateWorld()
    let arena = try Arena(size: .mebibytes(24), for: .paging, backing: .base, threads: 2)
    let guest = try GuestMemory(
      arena: arena, limit: .mebibytes(64), demandPaging: DemandPaging())
    let segment = try guest.cloneSegment("ram", of: world.template(), workingSet: .off)
    try guest.map(segment, at: .zero, length: .mebibytes(4))
    try guest.map(
      segment, at: Address(32 << 20), offset: .mebibytes(4), length: .mebibytes(12))
    let touch = GuestAccess(guest)
    #expect(touch.firstMismatch(in: 0..<(4 << 20)) { TemplateWorld.word($0) } == nil)
    #expect(
      touch.firstMismatch(in: (32 << 20)..<(44 << 20)) { TemplateWorld.word($0 - (28 << 20)) }
        == nil)
  }

  @Test func `a limit below the template's size is refused`() throws {
    let world = try TemplateWorld()
    let arena = try Arena(size: .mebibytes(8), for: .paging, backing: .base, threads: 2)
    let error = #expect(throws: HoldfastError.self) {
      try GuestMemory(cloning: world.template(), arena: arena, limit: .mebibytes(8))
    }
    #expect(error?.code == .invalidArgument)
  }

  @Test func `a wired clone has the template's bytes`() throws {
    let world = try TemplateWorld()
    let arena = try Arena(size: .mebibytes(16), backing: .base, threads: 2)
    let guest = try GuestMemory(arena: arena, limit: .mebibytes(16))
    let segment = try guest.cloneSegment("ram", of: world.template())
    let receipt = try guest.map(segment, at: .zero, options: .wired)
    #expect(try receipt.verify().problems == [])
    #expect(world.mismatch(guest) == nil)
    #expect(guest.cloneReceipts.map(\.missedTouches) == [0])
  }

  @Test func `a record of holes that is wrong or missing changes nothing`() throws {
    let world = try TemplateWorld(fills: false)
    let path = try world.template().path + "/data"
    let good = try Array(Data(contentsOf: URL(filePath: path)))
    #expect(good.starts(with: Array("holdfast-data-1\n".utf8)) && (good.count - 24) % 16 == 0)
    var long = good
    long[good.count - 1] = 0x7F
    let none = Array("holdfast-data-1\n".utf8)
    for record in [
      good, [], none, Array(good.dropLast(16)), Array(good.dropLast(3)), good + good, long,
      Array(good.prefix(24)), [UInt8](repeating: 0, count: good.count),
    ] {
      try Data(record).write(to: URL(filePath: path))
      #expect(world.mismatch(try world.clone()) == nil, "\(record.count)")
    }
    try FileManager.default.removeItem(atPath: path)
    #expect(world.mismatch(try world.clone()) == nil)
  }

  @Test func `a memory file that becomes shorter fails the fault, and a new clone`() throws {
    let world = try TemplateWorld()
    let failures = Failures()
    let guest = try world.clone {
      failures.add($0.error)
      return .refuse
    }
    let template = try world.template()
    let touch = GuestAccess(guest)
    #expect(touch.read(0) == TemplateWorld.word(0))
    try #require(truncate(template.memoryPath, 4 << 20) == 0)
    #expect(touch.read(2 << 20) == TemplateWorld.word(2 << 20))
    #expect(touch.readByKernel(8 << 20) == EFAULT)
    #expect(failures.codes == [.pagerFailure])
    let arena = try Arena(size: .mebibytes(8), for: .paging, backing: .base, threads: 2)
    let error = #expect(throws: HoldfastError.self) {
      try GuestMemory(cloning: template, arena: arena)
    }
    #expect(error?.code == .untrusted)
  }

  @Test func `two processes have clones of one template at once`() async throws {
    let world = try TemplateWorld()
    let path = world.place.path
    let guest = try world.clone()
    let touch = GuestAccess(guest)
    for address in stride(from: UInt64(0), to: 8 << 20, by: 4096) { touch.write(1, to: address) }
    await #expect(processExitsWith: .success) { [path = path as String] in
      let store = try TemplateStore(mount: path)
      let arena = try Arena(size: .mebibytes(24), for: .paging, backing: .base, threads: 2)
      let guest = try GuestMemory(cloning: store.template(TemplateWorld.base), arena: arena)
      let touch = GuestAccess(guest)
      try #require(touch.firstMismatch(in: 0..<(16 << 20)) { TemplateWorld.word($0) } == nil)
      for address in stride(from: UInt64(0), to: 16 << 20, by: 4096) { touch.write(2, to: address) }
      let error = #expect(throws: HoldfastError.self) { try store.remove(TemplateWorld.base) }
      #expect(error?.code == .busy)
    }
    #expect(touch.firstMismatch(in: 0..<(8 << 20)) { _ in 1 } == nil)
    #expect(
      touch.firstMismatch(in: (8 << 20)..<(16 << 20)) { TemplateWorld.word($0) } == nil)
    #expect(try world.fileBytes().isSame(as: world.bytes))
    // The other process recorded what it touched, and kept it at the end of its guest.
    #expect(try world.template().workingSet()?.pages.map(\.number) == Array(0..<8))
  }
}

/// What a guest's failure handler was told.
final class Failures: Sendable {
  private let found = Mutex<[HoldfastError]>([])

  func add(_ error: HoldfastError) { found.withLock { $0.append(error) } }

  var codes: [HoldfastError.Code] { found.withLock { $0.map(\.code) } }
}
