import Foundation
import HoldfastCore
import HoldfastTestKit
import Testing

/// Attacks on the reservoir's names and files by a member of its group, against commands of root.
@Suite(.enabled(if: Attack.isPossible, Attack.comment))
struct NameAttackTests {}

extension NameAttackTests {
  @Test func names() throws { try attackNames("tmpfs") }

  @Test(
    .enabled(
      if: HostNeeds.hugePages(.mebibytes(48)), Comment(rawValue: HostNeeds.hugePagesComment)))
  func namesOnHugePages() throws { try HugePageLock.withLock { try attackNames("hugetlbfs") } }

  private static let monitor =
    "import mmap,os,sys; m = mmap.mmap(os.open(sys.argv[1], 2), 4 << 20); m[:6] = b'SECRET'"

  /// Links, renames, exchanges, holes and contents, during twenty runs of root's monitors and ends
  /// of the member's leases. The member is told all names, which he could otherwise not know.
  private func attackNames(_ fileSystem: String) throws {
    let served = try ServedPlace(fileSystem: fileSystem, size: 48 << 20, options: Attack.options)
    let place = served.place
    try served.configure("[level]\nfiles = 4x4M\n")
    try served.start()
    try served.until("first") {
      served.ready.count == 4 && access(place.file("socket"), F_OK) == 0
    }
    let attack = try Attack()
    try attack.lease(place, "a")
    try attack.lease(place, "b")
    try place.get("reservoir", "lease", "-m", "4M", "--name", "vm")
    try attack.tell("names", place.names("ready"))
    try attack.start("names", place.path)
    _ = try attack.value("started")
    for round in 0..<20 {
      try served.until("level") { !served.ready.isEmpty }
      try attack.tell("names", place.names("ready"))
      let run = try place.run(
        [
          "run", "-m", "4M", "--name", "vm\(round % 2)", "--reuse",
          round % 4 < 2 ? "fresh" : "scrub",
        ]
          + ["--", "python3", "-c", Self.monitor, "{memory}"])
      #expect(run.status == 0 && run.error.isEmpty, "\(run)")
      if round % 5 == 0 {
        let user = "\(Attack.user)"
        let end = try place.run(["reservoir", "recycle", "a", "--user", user])
        #expect(end.status == 0 && end.output.contains("whose memory is not used again"), "\(end)")
        try served.until("level") { !served.ready.isEmpty }
        try attack.lease(place, "a")
      }
    }
    try attack.tell("stop")
    #expect(try attack.list("result") == [])
    for name in place.names("ready") {
      #expect(try FileMemory.isZero(place.file("ready/" + name)), "\(name)")
    }
    #expect(place.names("leased/\(Attack.user)") == ["a", "b"])
    #expect(place.names("leased/0") == ["vm"])
    #expect(place.names("quarantine") == [])
  }

  /// F3: a user who may write to the mount's folder can exchange the reservoir under a command.
  @Test(arguments: [0o777, 0o770, 0o757]) func aMountThatOthersMayWriteTo(_ mode: mode_t) throws {
    let place = try ReservoirPlace(options: Attack.options)
    try place.get("reservoir", "fill", "4M")
    try #require(chown(place.path, 0, gid_t(Attack.user)) == 0 && chmod(place.path, mode) == 0)
    for words in [
      ["run", "-m", "4M", "--", "true", "{memory}"], ["reservoir", "lease", "-m", "4M"],
      ["reservoir", "status"], ["reservoir", "gc"], ["reservoir", "fill", "4M"],
      ["reservoir", "init"],
    ] {
      try place.run(words).expectFailure(1, "may write to the mount's folder")
    }
    #expect(place.names("ready").count == 1 && place.names("leased") == [])
  }

  /// A user who may rename a folder in the path of the mount can exchange the reservoir too.
  @Test func aPathThatOthersMayChange() throws {
    let attack = try Attack()
    let place = try ReservoirPlace()
    let target = attack.scene + "/inner/place"
    try #require(mkdir(attack.scene + "/inner", 0o755) == 0 && mkdir(target, 0o755) == 0)
    try #require(mount(place.path, target, nil, UInt(MS_BIND), nil) == 0, "\(errno)")
    defer { umount2(target, Int32(MNT_DETACH)) }
    let words = ["reservoir", "lease", "--mount", target, "-m", "4M"]
    try place.get("reservoir", "fill", "2x4M")
    // The scene's folder is anybody's.
    try HoldfastProgram(words).wait().expectFailure(1, "may write to \(attack.scene)")
    let again = ["reservoir", "init", "--mount", target]
    try HoldfastProgram(again).wait().expectFailure(1, "may write to \(attack.scene)")
    chmod(attack.scene, 0o1777)
    #expect(try HoldfastProgram(words).wait().status == 0)
    chown(attack.scene + "/inner", uid_t(Attack.user), 0)
    try HoldfastProgram(words).wait().expectFailure(
      1, "user \(Attack.user) owns \(attack.scene)/inner")
  }

  /// F8: a folder that anybody makes on another mount is no reservoir. In a mount namespace of its
  /// own, so that the host's mounts do not matter.
  @Test func aReservoirOfAnybody() throws {
    let attack = try Attack()
    let script = """
      set -e
      umount -a -t hugetlbfs
      mount -t tmpfs none \(attack.scene)
      mkdir -m 755 \(attack.scene)/sticky \(attack.scene)/open \(attack.scene)/roots
      mount -t hugetlbfs -o mode=1777,pagesize=2M none \(attack.scene)/sticky
      mount -t hugetlbfs -o mode=0777,pagesize=2M none \(attack.scene)/open
      for place in sticky open; do
        runuser -u nobody -- mkdir -p \(attack.scene)/$place/holdfast/ready
        runuser -u nobody -- mkdir -p \(attack.scene)/$place/holdfast/leased
        if $0 reservoir init --mount \(attack.scene)/$place; then exit 3; fi
      done
      mount -t hugetlbfs -o mode=0755,pagesize=2M none \(attack.scene)/roots
      $0 reservoir init
      test -d \(attack.scene)/roots/holdfast
      $0 reservoir status
      """
    let outcome = try HoldfastProgram(
      [], command: ["unshare", "-m", "sh", "-c", script, HoldfastProgram.path]
    ).wait()
    #expect(outcome.status == 0, "\(outcome)")
    #expect(outcome.error.contains("user \(Attack.user) owns the"), "\(outcome)")
    #expect(outcome.error.contains("may write to the mount's folder"), "\(outcome)")
  }

  /// A member extends the own file; the end of the lease does not keep what was added.
  @Test func anExtendedFile() throws {
    let served = try ServedPlace(options: Attack.options)
    let place = served.place
    try served.configure("[level]\nfiles = 1x4M\n")
    try served.start()
    let attack = try Attack()
    let end = ["gc", "--older-than", "0", "--reuse", "scrub"]
    for words in [["recycle", "vm", "--user", "\(Attack.user)"], end] {
      try served.until("level") {
        served.ready == ["4M"] && access(place.file("socket"), F_OK) == 0
      }
      try attack.lease(place, "vm")
      let file = place.file("leased/\(Attack.user)/vm")
      let extend = try HoldfastProgram(
        ["128M", file], command: ["runuser", "-u", "nobody", "--", "truncate", "-s"]
      ).wait()
      try #require(extend.status == 0, "\(extend)")
      let outcome = try place.run(["reservoir"] + words)
      #expect(outcome.status == 0 && outcome.output.contains("returned to the host"), "\(outcome)")
      #expect(access(file, F_OK) != 0)
      try served.until("level") { served.ready == ["4M"] }
      #expect(try place.rows() == ["4M 1 0 0"])
    }
  }
}
