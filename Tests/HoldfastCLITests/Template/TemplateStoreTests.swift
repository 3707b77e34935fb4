import Foundation
import HoldfastCore
import HoldfastTestKit
import Testing

/// Where templates are, to whom they belong, and files in them that are not as holdfast made them.
@Suite(.enabled(if: HostNeeds.python, "\(TemplatePlace.needs)"))
struct TemplateStoreTests {}

extension TemplateStoreTests {
  /// A template whose files were changed is shown as damaged, starts no clone, and can be removed.
  @Test(arguments: [
    "state missing", "state short", "state other", "about missing", "about empty", "about newer",
    "about garbage", "about huge", "memory missing", "memory short", "memory readable",
    "memory name", "memory link",
  ])
  func damage(_ what: String) throws {
    let place = try TemplatePlace()
    try place.makeTemplate()
    let folder = place.file("sealed/base/")
    var isDamaged = true
    let words: String
    switch what {
    case "state missing":
      try #require(unlink(folder + "state") == 0)
      // Only a clone reads the state.
      (words, isDamaged) = ("cannot read \(folder)state", false)
    case "state short":
      try #require(truncate(folder + "state", 100) == 0)
      (words, isDamaged) = ("state has 100 bytes, not 2", false)
    case "state other":
      // The monitor finds out.
      try place.overwrite("state") { $0[0] ^= 1 }
      (words, isDamaged) = ("QEMU says: Not a migration stream", false)
    case "about missing":
      try #require(unlink(folder + "about") == 0)
      words = "cannot read its properties"
    case "about empty":
      try #require(truncate(folder + "about", 0) == 0)
      words = "is not one that holdfast wrote"
    case "about newer":
      try place.overwrite("about") { data in
        data = Data(
          String(decoding: data, as: UTF8.self)
            .replacing("holdfast-template 1", with: "holdfast-template 2").utf8)
      }
      words = "a newer holdfast"
    case "about garbage":
      try place.overwrite("about") {
        $0 = Data((0..<300).map { UInt8(truncatingIfNeeded: $0 * 7) })
      }
      words = "is not one that holdfast wrote"
    case "about huge":
      try place.overwrite("about") { data in
        data = Data(
          String(decoding: data, as: UTF8.self)
            .replacing("size 4194304", with: "size 9223372036854775808").utf8)
      }
      words = "is not one that holdfast wrote"
    case "memory missing":
      try #require(unlink(folder + "memory") == 0)
      words = "cannot open its memory"
    case "memory short":
      try #require(truncate(folder + "memory", 2 << 20) == 0)
      words = "not the template's own file"
    case "memory readable":
      try #require(chmod(folder + "memory", 0o644) == 0)
      words = "not the template's own file"
    case "memory name":
      try #require(link(folder + "memory", folder + "other") == 0)
      words = "2 names"
    default:
      try #require(unlink(folder + "memory") == 0 && symlink("/etc/passwd", folder + "memory") == 0)
      words = "cannot open its memory"
    }
    try expectFailure(
      try place.run(["run", "--template", "base", "--name", "vm"] + place.monitor()), words)
    if isDamaged { try expectFailure(try place.run(["template", "show", "base"]), words) }
    #expect(
      try place.list() == [isDamaged ? "base damaged - -" : "base sealed 4194304 0"])
    #expect(place.monitors() == [] && !place.log("vm").contains("running"))
    // Its name is taken until it is removed.
    try place.run(["template", "create", "base", "-m", "4M"] + place.monitor()).expectFailure(
      1, "a template has that name")
    let removal = try place.run(["template", "remove", "base"])
    #expect(removal.status == 0 && removal.error.isEmpty, "\(removal)")
    #expect(try place.list() == [] && place.names("sealed") == [] && place.names("drafts") == [])
  }

  /// A failure in one line, or several that the monitor has added to.
  private func expectFailure(_ outcome: HoldfastProgram.Outcome, _ words: String) throws {
    #expect(outcome.status == 1 && outcome.output.isEmpty, "\(outcome)")
    let line = outcome.error.split(separator: "\n").last.map { String($0) } ?? ""
    #expect(line.hasPrefix("holdfast: error: ") && line.contains("; try: "), "\(outcome)")
    #expect(line.contains(words), "\(outcome)")
    #expect(PlainEnglish.bannedPhrases(in: line) == [])
  }

  /// The record of the touched pages is no part of the template.
  @Test func aDamagedWorkingSet() throws {
    let place = try TemplatePlace()
    try place.makeTemplate()
    for bytes in [
      [], [1, 2, 3], Array("holdfast-touched-1\n".utf8), [UInt8](repeating: 255, count: 99),
    ] {
      try #require(
        FileManager.default.createFile(
          atPath: place.file("sealed/base/touched"), contents: Data(bytes),
          attributes: [.posixPermissions: 0o600]))
      #expect(try place.json("template", "show", "base")["workingSetPages"] is NSNull)
      let clone = try place.clones()
      #expect(eventually { place.log("vm").contains("ticked") })
      clone.send(SIGTERM)
      #expect(try clone.wait().status == 143)
      // The clone that was watched leaves a good one.
      #expect((try place.json("template", "show", "base")["workingSetPages"] as? Int ?? 0) > 0)
    }
  }

  @Test func foldersWithoutAReservoir() throws {
    let place = try TemplatePlace(.disk)
    // A file system of the host's memory needs a reservoir, of whose memory the machine gets some.
    let shared = "/dev/shm/holdfast-template-\(UUID())"
    try #require(mkdir(shared, 0o755) == 0)
    defer { try? FileManager.default.removeItem(atPath: shared) }
    try HoldfastProgram(
      ["template", "create", "base", "--mount", shared, "-m", "4M"] + place.monitor()
    ).wait().expectFailure(1, "has no reservoir, whose memory the machine gets")
    // A size that is no multiple of the page.
    let odd = try place.run(["template", "create", "base", "-m", "4097K"] + place.monitor())
    odd.expectFailure(1, "4195328 bytes are not a multiple of 4 KiB")
    #expect(try place.list() == [])
    for (mount, words) in [
      ("/none", "the folder does not open"),
      (place.work + "/qemu-stub", "the folder does not open"),
      ("/proc", "cannot open or create the folder 'holdfast'"),
    ] {
      try HoldfastProgram(["template", "list", "--mount", mount]).wait().expectFailure(1, words)
    }
  }

  /// On a disk that is full no monitor starts, which would get SIGBUS later.
  @Test(.enabled(if: HostNeeds.isRoot, "needs root to mount a small file system"))
  func aFullDisk() throws {
    let place = try TemplatePlace(.disk)
    let image = place.path + "/image"
    let mount = place.path + "/mount"
    try #require(mkdir(mount, 0o755) == 0)
    let script =
      "truncate -s 16M \(image) && mke2fs -q -F -t ext4 \(image) && mount -o loop \(image) \(mount)"
    guard try HoldfastProgram([], command: ["sh", "-c", script]).wait().status == 0 else { return }
    defer { umount2(mount, Int32(MNT_DETACH)) }
    try HoldfastProgram(
      ["template", "create", "base", "--mount", mount, "-m", "64M"] + place.monitor()
    ).wait().expectFailure(1, "(No space left on device)")
    #expect(
      try HoldfastProgram.run("template", "list", "--mount", mount).output == "no templates\n")
  }

  @Test(
    .enabled(
      if: HostNeeds.isRoot && access("/sys/kernel/mm/hugepages/hugepages-1048576kB", F_OK) == 0,
      "needs root and a processor with pages of 1 GiB"))
  func pagesOf1GiB() throws {
    let path = "/tmp/holdfast-template-\(UUID())"
    try #require(mkdir(path, 0o755) == 0)
    defer { rmdir(path) }
    try #require(mount("none", path, "hugetlbfs", 0, "pagesize=1G,mode=0755") == 0)
    defer { umount2(path, Int32(MNT_DETACH)) }
    for words in [
      ["list"], ["show", "base"], ["create", "base", "-m", "1G", "--", "x", "{memory}"],
    ] {
      try HoldfastProgram(["template", words[0], "--mount", path] + words.dropFirst()).wait()
        .expectFailure(1, "its pages have 1 GiB, and a clone would copy one at each first write")
    }
    #expect(access(path + "/holdfast", F_OK) != 0)
  }

  @Test(
    .enabled(
      if: HostNeeds.isRoot && HostNeeds.hugePages(.mebibytes(80)),
      "needs root and \(HostNeeds.hugePagesComment)"))
  func shortagesOfHugePages() throws {
    try HugePageLock.withLock {
      // The template has 2 pages of memory and 2 of files, and 2 clones need 4; the mount has 9.
      let place = try TemplatePlace(.hugetlbfs, pages: 9)
      try place.makeTemplate()
      let two = try place.clones("vm", count: 2)
      try place.run(["run", "--template", "base", "--name", "third"] + place.monitor())
        .expectFailure(1, "the size limit of the file system at \(place.path) leaves 2 MiB")
      #expect(!place.log("third").contains("starts"))
      try place.run(["run", "--template", "base", "--promise", "2M"] + place.monitor())
        .expectFailure(1, "the kernel reserves the whole of a private mapping of huge pages")
      // They go on, and write.
      let before = place.monitors()
      #expect(try before.count == 2 && place.list() == ["base sealed 4194304 2"])
      two.send(SIGTERM)
      #expect(try two.wait().status == 143)
      try place.get("template", "remove", "base", "--release")
      #expect(place.usedBytes == 0)
    }
  }

  @Test(
    .enabled(
      if: ProcessInfo.processInfo.physicalMemory < 200 << 30, "needs a host with less than 200 GiB")
  ) func clonesThatTheHostHasNoMemoryFor() throws {
    let place = try TemplatePlace(.disk)
    let machine = try place.create("base", options: ["-m", "256M"])
    try place.get("template", "seal", "base", "--timeout", "60")
    #expect(try machine.wait().status == 0)
    let outcome = try place.run(
      ["run", "--template", "base", "--name", "vm", "--count", "1000"] + place.monitor())
    outcome.expectFailure(1, "250 GiB is needed for the pages that they write to")
    #expect(place.monitors() == [] && place.names("sealed/base/clones") == [])
  }

  /// Another monitor than QEMU, whose state a command saves.
  @Test func anotherMonitor() throws {
    let place = try TemplatePlace()
    let state = place.work + "/state"
    let machine = try place.create(
      "base", place.monitor(isOther: true, options: ["-save", state]))
    try place.run(["template", "seal", "base"]).expectFailure(
      1, "its monitor is not QEMU; try: --state <file> and a command that saves the state")
    for (words, text) in [
      (["--state", state], "cannot read the device state in"),
      (["--state", state, "--", "false"], "'false' ended with status 1"),
      (["--state", state, "--", "/none/at/all"], "cannot start '/none/at/all'"),
      (["--state", "/dev/null"], "cannot read the device state in"),
      (["--state", place.work], "cannot read the device state in"),
      (["--qmp", place.work + "/none"], "cannot connect to \(place.work)/none"),
      (["--qmp", place.work + "/qemu-stub"], "cannot connect to \(place.work)/qemu-stub"),
    ] {
      try place.run(["template", "seal", "base"] + words).expectFailure(1, text)
    }
    let process = try #require(place.monitors().first)
    let script = "kill -USR1 \(process); until [ -e \(state) ]; do sleep 0.01; done"
    let outcome = try place.run(
      ["template", "seal", "base", "--state", state, "--", "sh", "-c", script])
    #expect(outcome.status == 0 && outcome.error.isEmpty, "\(outcome)")
    #expect(try machine.wait().status == 0)
    #expect(try place.list() == ["base sealed 4194304 0"])

    let bad = try place.run(["run", "--template", "base"] + place.monitor(isOther: true))
    bad.expectFailure(1, "its monitor would not load the device state; try: {state}")
    let words = place.monitor(isOther: true, options: ["-load", "{state}"])
    let clones = try place.start(
      ["run", "--template", "base", "--name", "vm", "--count", "2"] + words)
    #expect(eventually { ["vm-0", "vm-1"].allSatisfy { place.log($0).contains("starts") } })
    #expect(try place.list() == ["base sealed 4194304 2"])
    clones.send(SIGTERM)
    #expect(try clones.wait().status == 143)
    // The status of another monitor is its own, also when it does not load its state.
    let other = place.monitor("end=5", isOther: true, options: ["-load", "{state}"])
    #expect(try place.run(["run", "--template", "base"] + other).status == 5)
  }

  /// Another monitor than QEMU has no moment before its guest runs, so the template may change.
  @Test func anotherMonitorThatMapsTheTemplateShared() throws {
    let place = try TemplatePlace()
    let state = place.work + "/state"
    try #require(FileManager.default.createFile(atPath: state, contents: Data([1])))
    let machine = try place.create("base", place.monitor(isOther: true))
    try place.get("template", "seal", "base", "--state", state)
    #expect(try machine.wait().status == 0)
    let good = try place.start(
      ["run", "--template", "base", "--name", "good"] + place.monitor(isOther: true)
        + ["{{state}}", "{state}"])
    #expect(eventually { place.log("good").contains("ticked") })
    try place.run(
      ["run", "--template", "base", "--name", "bad"] + place.monitor("shared", isOther: true)
        + ["{state}"]
    ).expectFailure(1, "the clone 'bad' was ended, because it mapped the memory shared")
    #expect(try place.list() == ["base damaged - -"])
    try place.run(["run", "--template", "base"] + place.monitor(isOther: true) + ["{state}"])
      .expectFailure(1, "a monitor may have written to its memory; try: another template")
    try place.run(["template", "remove", "base"]).expectFailure(1, "the clone good runs on it")
    good.send(SIGTERM)
    #expect(try good.wait().status == 143)
    try place.get("template", "remove", "base")
  }

  /// A machine whose monitor already has a QMP socket at a path.
  @Test func aSocketOfOnesOwn() throws {
    let place = try TemplatePlace()
    let machine = try place.create()
    let copy = place.work + "/qmp"
    try FileManager.default.createSymbolicLink(
      atPath: copy, withDestinationPath: place.file("drafts/base/qmp"))
    // A link is not followed to it.
    try place.run(["template", "seal", "base", "--qmp", copy]).expectFailure(1, "cannot connect to")
    try place.get("template", "seal", "base", "--qmp", place.file("drafts/base/qmp"))
    #expect(try machine.wait().status == 0)
  }
}

/// The rights of users.
@Suite(
  .enabled(
    if: HostNeeds.canChangeUser && HoldfastProgram.othersCanRun && HostNeeds.python,
    "needs root, runuser, python3, and a build folder that other users may enter"))
struct TemplateUserTests {}

extension TemplateUserTests {
  @Test func otherUsersHaveNoAccess() throws {
    let place = try TemplatePlace()
    try place.makeTemplate()
    for words in [
      ["template", "list"], ["template", "show", "base"], ["template", "seal", "base"],
      ["template", "remove", "base"], ["template", "create", "x", "-m", "4M"] + place.monitor(),
      ["run", "--template", "base"] + place.monitor(),
    ] {
      try place.run(words, as: "nobody").expectFailure(
        1, "only user 0, who owns them, and root may use the templates")
    }
    #expect(try place.list() == ["base sealed 4194304 0"])
    let outcome = try HoldfastProgram(
      ["-c", ": 3<>\(place.file("sealed/base/memory"))"],
      command: ["runuser", "-u", "nobody", "--", "sh"]
    ).wait()
    #expect(outcome.status != 0 && outcome.error.contains("Permission denied"), "\(outcome)")
  }

  /// What root does for the store of another user belongs to that user.
  @Test(arguments: [true, false])
  func anotherUsersStore(_ rootSeals: Bool) throws {
    let place = try TemplatePlace(options: ["--owner", "nobody"])
    let machine = try place.create("base", as: rootSeals ? nil : "nobody")
    let owner = rootSeals ? nil : "nobody"
    let seal = try place.run(["template", "seal", "base"], as: owner)
    #expect(seal.status == 0 && seal.error.isEmpty, "\(seal)")
    #expect(try machine.wait().status == 0)
    try expectOwner(place)
    for user in [nil, "nobody"] {
      let clone = try place.clones(as: user)
      #expect(eventually { place.log("vm").contains("ticked") })
      // runuser passes it on, and has a status of its own.
      clone.send(SIGTERM)
      let status = try clone.wait().status
      #expect(user != nil || status == 143)
      #expect(eventually { place.names("sealed/base/clones") == [] })
      try expectOwner(place)
    }
    #expect(place.names("sealed/base").contains("touched"))
    // Root's clone of the other user's template, which that user's commands see.
    let clone = try place.clones()
    let list = try place.run(["template", "list"], as: "nobody")
    #expect(list.status == 0 && list.output.contains("base"), "\(list)")
    try place.run(["template", "remove", "base"], as: "nobody").expectFailure(
      1, "the clone vm runs on it")
    clone.send(SIGTERM)
    _ = try clone.wait()
    try place.run(["template", "list"], as: "daemon").expectFailure(1, "may use the templates")
    #expect(try place.run(["template", "remove", "base"], as: "nobody").status == 0)
  }

  private func expectOwner(
    _ place: TemplatePlace, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    var count = 0
    let top = place.file("")
    for name in try FileManager.default.subpathsOfDirectory(atPath: top) {
      var status = stat()
      // One may be removed meanwhile.
      guard lstat(top + name, &status) == 0 else { continue }
      count += 1
      #expect(status.st_uid == 65534, "\(name)", sourceLocation: sourceLocation)
      let mode: mode_t = status.st_mode & S_IFMT == S_IFDIR ? 0o700 : 0o600
      #expect(status.st_mode & 0o777 == mode, "\(name)", sourceLocation: sourceLocation)
    }
    #expect(count >= 7, sourceLocation: sourceLocation)
  }
}
