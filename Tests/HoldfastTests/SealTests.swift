import Foundation
import Glibc
import Holdfast
import HoldfastCore
import HoldfastLinux
import HoldfastTemplate
import HoldfastTestKit
import Synchronization
import Testing

/// Templates that are made of guests' memory.
@Suite(.enabled(if: HostNeeds.userFault, "\(HostNeeds.userFaultComment)"))
struct SealTests {}

extension SealTests {
  private static let name = try! TemplateName("machine")

  private func code(_ body: () throws -> Void) -> HoldfastError.Code? {
    (#expect(throws: HoldfastError.self) { try body() })?.code
  }

  /// The names in the store's folders.
  private func names(_ store: TemplateStore) throws -> [String] {
    try ["drafts", "sealed"].flatMap { try TemporaryFolder.names(store.path + "/" + $0) }
  }

  @Test func `a template tells what it was made of, and zeros take no space`() throws {
    try HugePageLock.withLock {
      for kind in TemplateWorld.kinds() {
        let place = try #require(TemplatePlace(kind))
        let store = try TemplateStore(mount: place.path)
        var bytes = [UInt8](repeating: 0, count: 16 << 20)
        for start in [0, 5 << 20, 9 << 20] { for byte in 0..<5000 { bytes[start + byte] = 7 } }
        let guest = try TemplateWorld.guest(bytes)
        let last = Atomic<UInt64>(0)
        let (template, receipt) = try guest.seal(
          TemplateWorld.all, to: store, as: Self.name, state: Array("state".utf8),
          monitor: "monitor", version: "1.2", threads: 3
        ) { done, total in
          #expect(done <= total && total == .mebibytes(16))
          last.max(done.rawValue, ordering: .relaxed)
        }
        #expect(last.load(ordering: .relaxed) == 16 << 20)
        #expect(receipt.bytes == .mebibytes(16) && receipt.path == template.memoryPath)
        #expect(receipt.writtenBytes == .kibibytes(24) && receipt.syncDuration <= receipt.duration)
        #expect(template.size == .mebibytes(16) && template.pageSize == store.pageSize)
        #expect(try template.state() == Array("state".utf8))
        #expect(template.about.monitor == "monitor" && template.about.version == "1.2")
        #expect(abs(template.about.created - Int64(time(nil))) < 5 && template.about.parent == nil)
        var status = stat()
        #expect(stat(template.memoryPath, &status) == 0 && status.st_mode & 0o7777 == 0o600)
        let taken = Int(status.st_blocks) * 512
        #expect(taken <= (kind == .hugetlbfs ? 6 << 20 : 1 << 20), "\(kind) \(taken)")
        #expect(try names(store) == ["machine"])
        let arena = try Arena(size: .mebibytes(24), for: .paging, backing: .base, threads: 2)
        let clone = try GuestMemory(cloning: template, arena: arena)
        #expect(try clone.read(.zero, count: 16 << 20).isSame(as: bytes), "\(kind)")
        #expect(
          code { _ = try guest.seal(TemplateWorld.all, to: store, as: Self.name) }
            == .alreadyExists)
      }
    }
  }

  @Test func `a part of the memory becomes a template from its own start on`() throws {
    let world = try TemplateWorld()
    let guest = try world.clone()
    let part = AddressRange(from: Address(6 << 20), to: Address(10 << 20))
    GuestAccess(guest).write(77, to: 7 << 20)
    let (template, _) = try guest.seal(part, to: world.store, as: Self.name)
    #expect(template.size == .mebibytes(4) && template.about.parent == "base")
    let arena = try Arena(size: .mebibytes(8), for: .paging, backing: .base, threads: 2)
    let clone = try GuestMemory(cloning: template, arena: arena)
    let access = GuestAccess(clone)
    #expect(
      access.firstMismatch(in: 0..<(4 << 20), step: 8) {
        $0 == 1 << 20 ? 77 : TemplateWorld.word($0 + (6 << 20))
      } == nil)
    // What was read for the new template was no touch.
    #expect(guest.cloneReceipts.map(\.missedTouches) == [1])
  }

  @Test func `a call that fails or is cancelled leaves nothing behind`() throws {
    let place = try #require(TemplatePlace(.tmpfs))
    let store = try TemplateStore(mount: place.path)
    let world = try TemplateWorld()
    let guest = try world.clone()
    func seal(_ range: AddressRange, _ token: CancellationToken = CancellationToken()) throws {
      _ = try guest.seal(range, to: store, as: Self.name, cancellation: token)
    }
    let none = AddressRange(from: .zero, to: .zero)
    let odd = AddressRange(from: Address(100), to: Address(8292))
    let beyond = AddressRange(from: Address(8 << 20), to: Address(32 << 20))
    for range in [none, odd, beyond] { #expect(code { try seal(range) } == .invalidArgument) }
    let token = CancellationToken()
    token.cancel()
    #expect(code { try seal(TemplateWorld.all, token) } == .cancelled)
    let later = CancellationToken()
    #expect(
      code {
        _ = try guest.seal(
          TemplateWorld.all, to: store, as: Self.name, threads: 2, cancellation: later
        ) { done, _ in if done > .mebibytes(3) { later.cancel() } }
      } == .cancelled)
    try guest.unmap(TemplateWorld.all)
    #expect(code { try seal(TemplateWorld.all) } == .invalidAddress)
    #expect(try names(store) == [])
  }

  @Test(.enabled(if: HostNeeds.isRoot, "needs root, to mount file systems"))
  func `a shortage of space or huge pages is an error, and leaves nothing behind`() throws {
    try HugePageLock.withLock {
      let world = try TemplateWorld()
      let guest = try world.clone()
      for kind in TemplateWorld.kinds() where kind != .disk {
        let place = try #require(TemplatePlace(kind, size: .mebibytes(12)), "\(kind)")
        let store = try TemplateStore(mount: place.path)
        let error = #expect(throws: HoldfastError.self) {
          try guest.seal(TemplateWorld.all, to: store, as: Self.name)
        }
        #expect(error?.code == .resourceShortage, "\(kind) \(String(describing: error))")
        #expect(error?.advice != nil)
        #expect(try names(store) == [])
        // What fits is sealed.
        let half = AddressRange(from: .zero, to: Address(4 << 20))
        let (template, _) = try guest.seal(half, to: store, as: Self.name)
        #expect(template.size == .mebibytes(4))
      }
    }
  }

  @Test(
    .enabled(
      if: HostNeeds.isRoot && HostNeeds.hugePages(.mebibytes(32)),
      "\(HostNeeds.hugePagesComment)"))
  func `on hugetlbfs a length of whole huge pages is needed`() throws {
    try HugePageLock.withLock {
      let place = try #require(TemplatePlace(.hugetlbfs))
      let store = try TemplateStore(mount: place.path)
      let guest = try TemplateWorld().clone()
      let range = AddressRange(from: .zero, to: Address(3 << 20))
      #expect(code { _ = try guest.seal(range, to: store, as: Self.name) } == .invalidArgument)
      #expect(try names(store) == [])
    }
  }
}
