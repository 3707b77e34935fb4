import Foundation
import Glibc
import HoldfastCore
import HoldfastTestKit
import Testing

@testable import HoldfastReservoir

/// Random names, packets, and folders that another program has filled.
struct FuzzTests {
  private static let id = "6f2a9c0011223344"

  @Test func `each name has one meaning, and each meaning one name`() {
    var fuzz = Fuzz(
      "names",
      like: [
        "10G-\(Self.id)", "10G@1-\(Self.id)", "vm1", "vm1.run", "vm_1@1023.run", "4097-\(Self.id)",
      ])
    fuzz.texts { text in
      if let name = ReadyName(text) { #expect(name.text == text && name.size > .zero) }
      if let lease = LeaseFile(text) { #expect(lease.text == text) }
      if let name = try? LeaseName(text) {
        #expect(name.text == text && (1...LeaseName.longest).contains(text.utf8.count))
        #expect(!text.contains("/") && !text.contains("."))
      }
      if let part = try? FillPlan.Part(typed: text) {
        #expect((1...65536).contains(part.count) && part.size > .zero)
      }
    }
  }

  @Test func `packets are requests and answers, or refused`() {
    var fuzz = Fuzz(
      "packets",
      like: [
        "HOLDFAST=1\nREQUEST=lease\nBYTES=2097152\nNAME=vm\nNODE=0\nGROW=1\nHELD=0\nWAIT=100",
        "HOLDFAST=1\nREQUEST=release\nNAME=vm", "HOLDFAST=1\nREQUEST=status",
        "HOLDFAST=1\nRESULT=lease\nPATH=/x\nNAME=vm\nBYTES=4096\nPAGE=4096\nWAITED=1\nNANOSECONDS=2",
        "HOLDFAST=1\nRESULT=status\nPATH=/x\nPAGE=4096\nOWNER=0\nFREE=3\nROW=4096 - 1 2 3\n"
          + "LEASE=vm 4096 0 1 9223372036854775807",
        "HOLDFAST=1\nRESULT=error\nCODE=busy\nREASON=x\nERRNO=4294967296\nADVICE=y",
      ])
    fuzz.texts { text in
      do throws(HoldfastError) {
        let command = try LeaseCommand(packet: text)
        // The packet of a command asks for the same.
        let again = try LeaseCommand(packet: command.packet)
        #expect("\(command)" == "\(again)")
      } catch {}
      for result in ["lease", "release", "status"] {
        do throws(HoldfastError) {
          let message = try LeaseAnswer.message(text, result)
          if let receipt = try? LeaseAnswer.receipt(message) { _ = receipt.description }
          if let status = try? LeaseAnswer.status(message, user: 1) {
            _ = status.text(showingLeases: true)
          }
        } catch {
          _ = error.description
        }
      }
    }
  }

  /// Sends bytes to a socket, as any process may.
  private func send(_ bytes: [UInt8], to path: String, from socket: Int32) -> Int {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix(107)) }
    let length = socklen_t(MemoryLayout<sockaddr_un>.size)
    return withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        sendto(socket, bytes, bytes.count, Int32(MSG_DONTWAIT), $0, length)
      }
    }
  }

  @Test func `datagrams are events, or invalid`() throws {
    var fuzz = Fuzz(
      "datagrams",
      like: [
        "HOLDFAST=1\nOPERATION=lease\nBYTES=4096\nNANOSECONDS=1\nWAITED=0",
        "HOLDFAST=1\nOPERATION=fill\nBYTES=0\nNANOSECONDS=1\nWAITED=0\nFAILURE=noSpace",
        String(repeating: "HOLDFAST=1\n", count: 60),
      ])
    let place = try Place()
    let listener = try #require(try place.reservoir().listen())
    let socket = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
    defer { close(socket) }
    var (events, invalid) = (0, 0)
    for _ in 0..<Fuzz.cases {
      let bytes = fuzz.bytes()
      try #require(send(bytes, to: place.file("events"), from: socket) == bytes.count)
      let message = try #require(listener.next())
      guard case .event(let event) = message else {
        invalid += 1
        continue
      }
      events += 1
      #expect(bytes.count <= 512 && ReservoirEvent(message: event.message) == event)
    }
    #expect(events > 0 && invalid > 0 && listener.next() == nil)
  }

  /// Makes an entry in a folder as another program might, and never changes one that is there: that
  /// may be a link.
  ///
  /// - Parameter outside: a file that a link may lead to.
  private func make(_ path: String, outside: String, _ random: inout SeededGenerator) {
    switch Int.random(in: 0..<8, using: &random) {
    case 0: mkdir(path, 0o777)
    case 1: symlink(outside, path)
    case 2: symlink(path, path)
    case 3: mkfifo(path, 0o666)
    case 4: link(outside, path)
    default:
      let file = open(
        path, O_CREAT | O_EXCL | O_NOFOLLOW | O_RDWR | O_CLOEXEC,
        mode_t.random(in: 0...0o777, using: &random))
      guard file >= 0 else { return }
      let sizes: [off_t] = [0, 1, 4096, 4097, 1 << 20, 1 << 40]
      ftruncate(file, sizes.randomElement(using: &random) ?? 0)
      close(file)
    }
  }

  // On a mount with a limit, so that a mistake does not take all of the host's memory.
  @Test(.enabled(if: HostNeeds.isRoot, "needs root, to mount a tmpfs"))
  func `hostile folders are reported, and nothing outside changes`() throws {
    var fuzz = Fuzz(
      "folders",
      like: [
        "1M-\(Self.id)", "2M@0-\(Self.id)", "17179869183G-\(Self.id)", "vm", "vm.run", Self.id,
      ])
    let outside = FileManager.default.temporaryDirectory.appending(path: "holdfast-\(UUID())")
    let contents = Data("nothing changes this".utf8)
    try contents.write(to: outside)
    defer { try? FileManager.default.removeItem(at: outside) }
    for _ in 0..<max(1, Fuzz.cases / 50) {
      let place = try Place(fileSystem: "tmpfs", size: .mebibytes(16))
      let reservoir = try place.reservoir(.mebibytes(1))
      let folders = ["ready", "filling", "leased", "leased/\(geteuid())", "."]
      mkdir(place.file("leased/\(geteuid())"), 0o700)
      for _ in 0..<Int.random(in: 1..<12, using: &fuzz.random) {
        let name = fuzz.text().replacing("/", with: "_").replacing("\0", with: "_").prefix(60)
        let folder = folders.randomElement(using: &fuzz.random) ?? "ready"
        if ["", ".", ".."].contains(name) { continue }
        make(place.file("\(folder)/\(name)"), outside: outside.path, &fuzz.random)
      }
      for work in [
        { _ = try reservoir.status().text(showingLeases: true) },
        { _ = try reservoir.collect(CollectOptions(age: .zero, reuse: .scrub)) },
        { _ = try reservoir.fill(FillPlan([.init(count: 2, size: .mebibytes(1))])) },
        {
          let lease = try reservoir.lease(LeaseRequest(size: .mebibytes(1)))
          #expect(lease.receipt.size == .mebibytes(1))
        },
        { _ = try reservoir.drain() },
      ] as [() throws -> Void] {
        do { try work() } catch let error as HoldfastError { _ = error.description }
      }
    }
    #expect(try Data(contentsOf: outside) == contents)
  }
}
