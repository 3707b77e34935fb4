import Dispatch
import Foundation
import Glibc
import HoldfastCore
import HoldfastTestKit
import SystemPackage
import Testing

@testable import HoldfastLinux

struct HugePagePoolTests {
  private let path = "sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"

  private func pool(_ tree: HostTree, writer: HostFiles.Writer? = nil) -> HugePagePool {
    HugePagePool(size: .mebibytes(2), files: HostFiles(root: tree.root, writer: writer))
  }

  private func number(_ tree: HostTree) throws -> String {
    try tree.read(path).trimmingCharacters(in: .whitespacesAndNewlines)
  }

  @Test func `counts and available pages`() throws {
    let tree = try HostTree(HostTree.pool(2048, total: 10, free: 6, reserved: 2))
    let pool = HugePagePool(size: .mebibytes(2), root: tree.root)
    #expect(try pool.counts().total == PageCount(10))
    #expect(try pool.available == PageCount(4))
  }

  @Test func `no page is available if more are reserved than free`() throws {
    let tree = try HostTree(HostTree.pool(2048, total: 10, free: 1, reserved: 2))
    #expect(try pool(tree).available == .zero)
  }

  @Test func `a page size that the host lacks is an error`() throws {
    let tree = try HostTree(HostTree.pool(2048, total: 0, free: 0))
    let pool = HugePagePool(size: .gibibytes(16), root: tree.root)
    let error = #expect(throws: HoldfastError.self) { try pool.increase(by: .one) }
    #expect(error?.reason == "this host has no huge pages of 16 GiB, only of 2 MiB")
  }

  @Test func `pages are added, and returned once`() throws {
    let tree = try HostTree(HostTree.pool(2048, total: 10, free: 6))
    let reservation = try pool(tree).increase(by: PageCount(5))
    #expect(try number(tree) == "15")
    #expect(!reservation.isGivenBack)
    // Other processes change the pool meanwhile: exactly the added pages are removed.
    try tree.write("18\n", to: path)
    try reservation.giveBack()
    try reservation.giveBack()
    #expect(try number(tree) == "13")
    #expect(reservation.isGivenBack)
  }

  @Test func `a pool is never lowered below zero`() throws {
    let tree = try HostTree(HostTree.pool(2048, total: 0, free: 0))
    let reservation = try pool(tree).increase(by: PageCount(5))
    try tree.write("3\n", to: path)
    try reservation.giveBack()
    #expect(try number(tree) == "0")
  }

  @Test func `an increase by zero writes nothing`() throws {
    let tree = try HostTree(HostTree.pool(2048, total: 3, free: 3))
    let pool = pool(tree) { (_, _) throws(Errno) in throw .ioError }
    try pool.increase(by: .zero).giveBack()
    #expect(try number(tree) == "3")
  }

  @Test func `the pool of a single node`() throws {
    let tree = try HostTree.sound()
    let directory = "sys/devices/system/node/node1/hugepages/hugepages-2048kB/"
    let before = try number(tree)
    let pool = HugePagePool(size: .mebibytes(2), node: NodeID(1), root: tree.root)
    #expect(pool.path == "/" + directory + "nr_hugepages")
    #expect(try pool.available == PageCount(1025))
    try tree.write(
      "Node 1 MemTotal: 8388608 kB\nNode 1 MemFree: 20480 kB\n",
      to: "sys/devices/system/node/node1/meminfo")
    let reservation = try pool.increase(by: PageCount(10))
    #expect(try tree.read(directory + "nr_hugepages") == "2060")
    try reservation.giveBack()
    #expect(try tree.read(directory + "nr_hugepages") == "2050")
    #expect(try number(tree) == before)
    // The host has more than the node.
    let error = #expect(throws: HoldfastError.self) { try pool.increase(by: PageCount(11)) }
    #expect(
      error?.reason
        == "11 pages of 2 MiB on node 1 were requested, but node 1 has only 20 MiB available")
    let missing = HugePagePool(size: .mebibytes(2), node: NodeID(7), root: tree.root)
    #expect(throws: HoldfastError.self) { try missing.increase(by: .one) }
  }

  @Test func `surplus pages that became part of the pool are returned too`() throws {
    // 10 pages of which 3 are surplus; what a write sets is the other 7.
    let tree = try HostTree(HostTree.pool(2048, total: 10, free: 0, surplus: 3))
    let pool = pool(tree) { (file, text) throws(Errno) in
      // As the kernel: surplus pages become the pool's own first.
      try HostFiles.replaceContents(of: file, with: text)
      let surplus = file.replacing("nr_hugepages", with: "surplus_hugepages")
      try HostFiles.replaceContents(of: surplus, with: "0")
    }
    let reservation = try pool.increase(by: PageCount(4))
    #expect(try number(tree) == "14")
    #expect(reservation.count == PageCount(4))
    try reservation.giveBack()
    #expect(try number(tree) == "7")
  }

  @Test func `fewer pages than requested are returned, with an error`() throws {
    let tree = try HostTree(HostTree.pool(2048, total: 10, free: 0))
    try tree.write("", to: "proc/sys/vm/compact_memory")
    // A kernel that has no more than 13 pages.
    let pool = pool(tree) { (file, text) throws(Errno) in
      let limited = file.hasSuffix("nr_hugepages") ? "\(min(13, UInt64(text) ?? 0))" : text
      try HostFiles.replaceContents(of: file, with: limited)
    }
    let error = try #require(throws: HoldfastError.self) { try pool.increase(by: PageCount(5)) }
    #expect(
      error.reason
        == "5 pages of 2 MiB were requested and 3 found, which were returned to the host")
    #expect(error.errno == ENOMEM)
    #expect(error.advice?.description.contains("hugepagesz=2048K hugepages=15") == true)
    #expect(try number(tree) == "10")
    #expect(try tree.read("proc/sys/vm/compact_memory") == "1")
  }

  @Test func `compaction that finds the pages is enough`() throws {
    let tree = try HostTree(HostTree.pool(2048, total: 0, free: 0))
    try tree.write("", to: "proc/sys/vm/compact_memory")
    let files = HostFiles(root: tree.root)
    let pool = pool(tree) { (file, text) throws(Errno) in
      let compacted = files.number("/proc/sys/vm/compact_memory") == 1
      let short = file.hasSuffix("nr_hugepages") && !compacted
      try HostFiles.replaceContents(of: file, with: short ? "1" : text)
    }
    _ = try pool.increase(by: PageCount(5))
    #expect(try number(tree) == "5")
  }

  @Test(arguments: [UInt64.max, 1 << 60, 1 << 20])
  func moreThanTheHostHasIsRefusedUntried(_ count: UInt64) throws {
    let tree = try HostTree(HostTree.pool(2048, total: 10, free: 0))
    try tree.write("MemAvailable: 1048576 kB\n", to: "proc/meminfo")
    let pool = pool(tree) { (_, _) throws(Errno) in Issue.record("written") }
    let error = #expect(throws: HoldfastError.self) { try pool.increase(by: PageCount(count)) }
    #expect(error?.errno == ENOMEM)
  }

  @Test func `a denied permission has the command as advice`() throws {
    let tree = try HostTree(HostTree.pool(2048, total: 20, free: 0))
    let pool = pool(tree) { (_, _) throws(Errno) in throw .permissionDenied }
    let error = try #require(throws: HoldfastError.self) { try pool.increase(by: PageCount(5100)) }
    #expect(error.errno == EACCES)
    #expect(
      error.advice
        == .reserveHugePages([
          Advice.HugePageGoal(
            pageSize: .mebibytes(2), node: nil,
            path: "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", count: 5120)
        ]))
    #expect("\(error)".contains("Permission denied"))
  }

  @Test func `a read that fails after the write undoes the write`() throws {
    let tree = try HostTree(HostTree.pool(2048, total: 6, free: 0))
    let pool = pool(tree) { (file, text) throws(Errno) in
      try HostFiles.replaceContents(of: file, with: text == "6" ? text : "garbage")
    }
    #expect(throws: HoldfastError.self) { try pool.increase(by: PageCount(2)) }
    #expect(try number(tree) == "6")
  }

  @Test func `giving back can be repeated after a failure`() throws {
    let tree = try HostTree(HostTree.pool(2048, total: 1, free: 0))
    try tree.write("0", to: "fails")
    let files = HostFiles(root: tree.root)
    let pool = pool(tree) { (file, text) throws(Errno) in
      if files.number("/fails") == 1 { throw .readOnlyFileSystem }
      try HostFiles.replaceContents(of: file, with: text)
    }
    let reservation = try pool.increase(by: PageCount(2))
    try tree.write("1", to: "fails")
    #expect(throws: HoldfastError.self) { try reservation.giveBack() }
    #expect(!reservation.isGivenBack)
    try tree.write("0", to: "fails")
    try reservation.giveBack()
    #expect(try number(tree) == "1")
  }

  @Test func `concurrent threads neither lose nor repeat a change`() throws {
    let tree = try HostTree(HostTree.pool(2048, total: 7, free: 0))
    try tree.write("", to: "proc/sys/vm/compact_memory")
    let pool = pool(tree)
    DispatchQueue.concurrentPerform(iterations: 8) { _ in
      for _ in 0..<10 {
        do {
          let reservation = try pool.increase(by: PageCount(3))
          DispatchQueue.concurrentPerform(iterations: 2) { _ in
            try? reservation.giveBack()
            if !reservation.isGivenBack { Issue.record("it ended before the return") }
          }
        } catch {
          Issue.record(error)
        }
      }
    }
    #expect(try number(tree) == "7")
  }

  // MARK: The real host

  @Test(.enabled(if: HostNeeds.canReserve, "needs root and a writable nr_hugepages"))
  func pagesOfTheRealHostComeAndGo() throws {
    let pool = HugePagePool(size: .mebibytes(2))
    // Other tests, and other programs, use the same pool: one undisturbed round proves it.
    var rounds: [[PageCount?]] = []
    for _ in 0..<50 {
      let before = try pool.counts().total
      let reservation = try pool.increase(by: PageCount(4))
      let during = try pool.counts().total
      try reservation.giveBack()
      try reservation.giveBack()
      let after = try pool.counts().total
      rounds.append([before, during, after])
      if during == before.map({ $0 + PageCount(4) }), after == before { return }
      usleep(20_000)
    }
    Issue.record("the pool never went up by four pages and back: \(rounds)")
  }

  @Test(.enabled(if: geteuid() != 0, "root is not refused"))
  func anOrdinaryUserIsToldTheCommand() throws {
    let pool = HugePagePool(size: .mebibytes(2))
    let error = try #require(throws: HoldfastError.self) { try pool.increase(by: PageCount(4)) }
    #expect(error.errno == EACCES || error.errno == EROFS)
    #expect(error.advice?.description.contains("> \(pool.path)") == true)
  }
}
