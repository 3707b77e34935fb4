import Foundation
import HoldfastCore
import HoldfastTestKit
import Testing

/// Attacks by pages that an attacker has pinned as a fixed buffer of io_uring(7), which the kernel's
/// proof that a file is open nowhere else does not cover.
@Suite(
  .enabled(if: Attack.isPossible, Attack.comment),
  .enabled(if: HostNeeds.ring, Comment(rawValue: HostNeeds.ringComment)))
struct PinnedPageTests {}

extension PinnedPageTests {
  /// tmpfs, and hugetlbfs with the lock on the pools.
  private func on(_ fileSystem: String, _ body: (String) throws -> Void) throws {
    if fileSystem == "hugetlbfs" {
      try HugePageLock.withLock { try body(fileSystem) }
    } else {
      try body(fileSystem)
    }
  }

  @Test func aReadyFile() throws { try on("tmpfs", pinReady) }
  @Test func aFormerLease() throws { try on("tmpfs", pinLease) }
  @Test func aLeaseThatFails() throws { try on("tmpfs", pinGrowing) }
  @Test func aHelperOfAMonitor() throws {
    try on("tmpfs") { try runHelper($0, "fresh", sees: false) }
  }
  /// Why scrubbing is only for monitors that are trusted; and that the attack works.
  @Test func aHelperOfATrustedMonitor() throws {
    try on("tmpfs") { try runHelper($0, "scrub", sees: true) }
  }

  @Suite(
    .enabled(
      if: HostNeeds.hugePages(.mebibytes(48)), Comment(rawValue: HostNeeds.hugePagesComment)))
  struct OnHugePages {
    private let tests = PinnedPageTests()

    @Test func aReadyFile() throws { try tests.on("hugetlbfs", tests.pinReady) }
    @Test func aFormerLease() throws { try tests.on("hugetlbfs", tests.pinLease) }
    @Test func aLeaseThatFails() throws { try tests.on("hugetlbfs", tests.pinGrowing) }
    @Test func aHelperOfAMonitor() throws {
      try tests.on("hugetlbfs") { try tests.runHelper($0, "fresh", sees: false) }
    }
    @Test func aHelperOfATrustedMonitor() throws {
      try tests.on("hugetlbfs") { try tests.runHelper($0, "scrub", sees: true) }
    }
  }

  private func served(_ fileSystem: String) throws -> ServedPlace {
    let served = try ServedPlace(
      fileSystem: fileSystem, size: 32 << 20, options: Attack.options)
    try served.configure("[level]\nfiles = 1x4M\n")
    try served.start()
    try served.until("first") {
      served.ready == ["4M"] && access(served.place.file("socket"), F_OK) == 0
    }
    return served
  }

  /// Root leases and writes a secret; then the attacker looks for it.
  private func lease(
    _ place: ReservoirPlace, _ attack: Attack, sees: Bool,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let path = String(try place.get("reservoir", "lease", "-m", "4M", "--name", "next").dropLast())
    #expect(try FileMemory.isZero(path), sourceLocation: sourceLocation)
    try FileMemory.fill(path, "SECRET")
    try attack.tell("go")
    #expect(
      try attack.text("result") == (sees ? "saw the secret" : "saw nothing"),
      sourceLocation: sourceLocation)
    #expect(try FileMemory.has(path, "EVIL") == sees, sourceLocation: sourceLocation)
    #expect(try FileMemory.has(path, "SECRET") == !sees, sourceLocation: sourceLocation)
  }

  /// A member cannot open what is ready, even if he knows its name.
  private func pinReady(_ fileSystem: String) throws {
    let place = try ReservoirPlace(
      fileSystem: fileSystem, size: 32 << 20, options: Attack.options)
    try place.get("reservoir", "fill", "4M")
    let attack = try Attack()
    try attack.start("pin", "path", place.file("ready/" + place.names("ready")[0]))
    #expect(try attack.text("pinned").hasPrefix("error: [Errno 13] Permission denied"))
  }

  /// A member leases, pins the pages and releases.
  private func pinLease(_ fileSystem: String) throws {
    let served = try served(fileSystem)
    let attack = try Attack()
    try attack.start("pin", "socket", served.place.file("socket"))
    #expect(try attack.text("pinned") == "pages")
    try served.until("second") { served.ready == ["4M"] }
    try lease(served.place, attack, sees: false)
  }

  /// A member asks for more memory than there is, and opens the file before the lease fails and the
  /// file is ready again.
  private func pinGrowing(_ fileSystem: String) throws {
    let served = try served(fileSystem)
    let attack = try Attack()
    try attack.start(
      "pin", "growth", served.place.file("socket"), served.place.file("leased/\(Attack.user)"),
      "\(512 << 20)", "20")
    #expect(try attack.text("pinned") == "nothing")
    // The service has filled the level while files were leased in vain.
    try served.until("ready") { !served.ready.isEmpty && served.place.names("filling").isEmpty }
    for name in served.place.names("ready") {
      #expect(try FileMemory.isZero(served.place.file("ready/" + name)))
    }
  }

  /// A monitor that root runs leaves a process with the ring behind.
  private func runHelper(_ fileSystem: String, _ reuse: String, sees: Bool) throws {
    let place = try ReservoirPlace(fileSystem: fileSystem, size: 32 << 20)
    try place.get("reservoir", "fill", "4M")
    let attack = try Attack()
    let outcome = try place.run(
      ["run", "-m", "4M", "--reuse", reuse, "--", "python3", "-c", Attack.text("attack", "pin")]
        + [attack.scene, "helper", "{memory}"])
    #expect(outcome.status == 0 && outcome.error.isEmpty, "\(outcome)")
    #expect(try attack.text("pinned") == "pages")
    #expect(try place.rows() == ["4M 1 0 0"])
    try lease(place, attack, sees: sees)
  }
}
