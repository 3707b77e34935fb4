import Foundation
import HoldfastTestKit
import Testing

/// Users who do not own the reservoir lease from its service, as real users and processes.
@Suite(
  .enabled(
    if: HostNeeds.canChangeUser && HoldfastProgram.othersCanRun && HostNeeds.python,
    "needs root, runuser, python3, and a build folder that other users may enter"))
struct LeaseSocketTests {
  private let nobody = "leased/65534"
}

extension LeaseSocketTests {
  /// A reservoir whose group is nobody's, with a service and as many ready files of 4 MiB.
  private func serve(
    _ files: Int, _ more: String = "", group: String = "65534"
  ) throws -> ServedPlace {
    let served = try ServedPlace(options: ["--group", group])
    try served.configure("[level]\nfiles = \(files)x4M\n[collect]\ninterval = 0.1\n" + more)
    try served.start()
    try served.until("filled") { served.ready.count == files }
    try served.until("listens") { access(served.place.file("socket"), F_OK) == 0 }
    return served
  }

  /// Runs the client in Python, as a user.
  private func client(
    _ served: ServedPlace, _ lines: String..., as user: String = "nobody"
  ) throws -> HoldfastProgram {
    try PythonClient.start("lease", [served.place.file("socket")] + lines, as: user)
  }

  private func sh(_ script: String) throws -> Int32? {
    try HoldfastProgram([], command: ["runuser", "-u", "nobody", "--", "sh", "-c", script]).wait()
      .status
  }

  @Test func membersLease() throws {
    let served = try serve(2)
    let place = served.place
    let outcome = try place.run(
      ["reservoir", "lease", "-m", "4M", "--name", "vm", "--format", "json"], as: "nobody")
    #expect(outcome.status == 0 && outcome.error.isEmpty, "\(outcome)")
    #expect(outcome.output.contains("\"isExclusive\" : true"))
    let path = place.file(nobody + "/vm")
    var status = stat()
    #expect(stat(path, &status) == 0 && status.st_uid == 65534 && status.st_mode & 0o777 == 0o600)
    #expect(stat(place.file(nobody), &status) == 0)
    #expect(status.st_uid == 0 && status.st_mode & 0o7777 == 0o710)
    // The member opens the file by its path, and changes no name.
    #expect(try sh("echo guest 1<>\(path)") == 0)
    for script in [
      "rm \(path)", "mv \(path) \(path)2", "ln \(path) \(path)2", "touch \(place.file(nobody))/x",
      "ls \(place.file(nobody))", "ls \(place.file("ready"))", "ls \(place.file("filling"))",
      "ls \(place.file("leased"))", "touch \(place.file("x"))", "mv \(place.file("")) /dev/shm/x",
      "rm \(place.file("socket"))", "ln \(path) \(place.path)/x",
    ] {
      #expect(try sh("\(script) 2>/dev/null") != 0, "\(script)")
    }
    let table = try place.run(["reservoir", "status", "--leases"], as: "nobody")
    #expect(table.status == 0 && table.output.contains(path), "\(table)")
    try place.run(["reservoir", "lease", "-m", "4M", "--name", "vm"], as: "nobody")
      .expectFailure(1, "already has a lease 'vm'")
    try place.run(["reservoir", "release", "vm", "--user", "0"], as: "nobody")
      .expectFailure(1, "leases of other users")
    let end = try place.run(["reservoir", "release", "vm"], as: "nobody")
    #expect(end.status == 0 && end.output.hasPrefix("4 MiB returned"), "\(end)")
    try place.run(["reservoir", "release", "vm"], as: "nobody").expectFailure(1, "no lease")
  }

  /// What a member had is never used again, whatever root asks for.
  @Test func memoryOfMembersIsReleased() throws {
    let served = try serve(1)
    let place = served.place
    #expect(
      try place.run(["reservoir", "lease", "-m", "4M", "--name", "vm"], as: "nobody").status == 0)
    let end = try place.get(
      "reservoir", "recycle", "vm", "--user", "nobody", "--reuse", "scrub")
    #expect(end.contains("returned to the host: user 65534 had it"), "\(end)")
  }

  /// `run` passes the memory by its path and by an inherited descriptor, whose lock is the lease.
  @Test func membersRun() throws {
    let served = try serve(2)
    let place = served.place
    let script =
      "cmp -n 4096 {memory} /dev/zero && cmp -n 4096 /proc/self/fd/{fd} /dev/zero && "
      + "test {memory} -ef /proc/self/fd/{fd} && echo x 1<>{memory}"
    let run = try place.run(["run", "-m", "4M", "--", "sh", "-c", script], as: "nobody")
    #expect(run.status == 0 && run.error.isEmpty && run.output.isEmpty, "\(run)")
    #expect(place.names(nobody).isEmpty)
    // The program keeps the memory although holdfast is killed, and the service is started again.
    let held = try place.start(
      [
        "run", "-m", "4M", "--name", "held", "--", "/usr/bin/python3", "-c",
        "import time; time.sleep(600)", "{memory}",
      ], as: "nobody")
    try served.until("held") { place.names(nobody) == ["held.run"] }
    let path = place.file(nobody + "/held.run")
    try served.until("started") { try monitor(of: path) != nil }
    let program = try #require(try monitor(of: path))
    let pattern = "holdfast run --mount \(place.path)"
    _ = try HoldfastProgram(["-KILL", "-f", pattern], command: ["pkill"]).wait()
    _ = try held.wait()
    served.stopAtOnce()
    try served.start()
    try served.until("filled") { served.ready.count == 2 }
    // A collection passes it over.
    try served.orphan("orphan")
    try served.until("collects") { place.names("leased/0").isEmpty }
    #expect(place.names(nobody) == ["held.run"])
    kill(program, SIGKILL)
    try served.until("collected") { place.names(nobody).isEmpty }
  }

  /// The process that has a file open and is not holdfast.
  private func monitor(of path: String) throws -> pid_t? {
    for process in try FileManager.default.contentsOfDirectory(atPath: "/proc") {
      guard let number = pid_t(process),
        let name = try? String(contentsOfFile: "/proc/\(process)/comm", encoding: .utf8),
        name == "python3\n",
        let words = try? String(contentsOfFile: "/proc/\(process)/cmdline", encoding: .utf8),
        words.contains(path)
      else { continue }
      return number
    }
    return nil
  }

  @Test func limits() throws {
    let served = try serve(4, "[limits]\nfiles = 2\nbytes = 11M\nrequests = 1\n")
    let place = served.place
    func lease(_ size: String, _ name: String) throws -> HoldfastProgram.Outcome {
      try place.run(["reservoir", "lease", "-m", size, "--name", name], as: "nobody")
    }
    #expect(try lease("4M", "a").status == 0)
    try lease("8M", "b").expectFailure(1, "no")
    #expect(try lease("4M", "b").status == 0)
    try lease("4M", "c").expectFailure(1, "the limit of files is 2")
    #expect(try place.run(["reservoir", "release", "b"], as: "nobody").status == 0)
    // The size that the member has given the file counts.
    #expect(truncate(place.file(nobody + "/a"), 8 << 20) == 0)
    try lease("4M", "c").expectFailure(1, "the limit of bytes is 11 MiB")
    // A request that waits counts, and the next one of the user is refused.
    func wait() throws -> HoldfastProgram {
      try client(served, "REQUEST=lease", "BYTES=1073741824", "WAIT=600000")
    }
    var waiting = try wait()
    try served.until("refused") {
      // The next request may have come first. Then it gets a head start, since on a busy host the
      // next one would again.
      if !waiting.outputSoFar.isEmpty {
        waiting = try wait()
        usleep(1_000_000)
        return false
      }
      let second = try client(served, "REQUEST=status").wait()
      return second.output.contains("CODE=busy")
        && second.output.contains("the limit of requests is 1")
    }
    // Other users are served.
    #expect(
      try client(served, "REQUEST=status", as: "root").wait().output.contains("RESULT=status"))
    // A client that has gone no longer counts.
    waiting.send(SIGKILL)
    _ = try waiting.wait()
    try served.until("served again") {
      try client(served, "REQUEST=status").wait().output.contains("RESULT=status")
    }
    // Limits do not concern the owner.
    for name in ["1", "2", "3"] {
      try place.get("reservoir", "lease", "-m", "4M", "--wait", "30", "--name", name)
    }
  }

  @Test func aClientInPython() throws {
    let served = try serve(2)
    let held = try client(
      served, "REQUEST=lease", "BYTES=4194304", "NAME=vm", "HELD=1", "MARK=guest", "HOLD=600")
    try served.until("leased") { held.outputSoFar.contains("FILE=") }
    let output = held.outputSoFar
    #expect(output.hasPrefix("HOLDFAST=1\nRESULT=lease\n") && output.contains("EXCLUSIVE=1\n"))
    #expect(output.contains("PATH=\(served.place.file(nobody))/vm.run\n"))
    #expect(output.contains("FILE=4194304 0\n"))
    let busy = try client(served, "REQUEST=release", "NAME=vm").wait()
    #expect(busy.output.contains("CODE=busy\n"), "\(busy)")
    held.send(SIGKILL)
    _ = try held.wait()
    // Collected, since its lock is free.
    try served.until("collected") { served.place.names(nobody).isEmpty }
    let plain = try client(served, "REQUEST=lease", "BYTES=4194304", "NAME=vm").wait()
    #expect(plain.output.contains("FILE=4194304 0\n"), "\(plain)")
    let status = try client(served, "REQUEST=status").wait()
    #expect(status.output.contains("\nLEASE=vm 4194304 - 0 "), "\(status)")
    // Others do not see it.
    let other = try client(served, "REQUEST=status", as: "root").wait()
    #expect(other.output.contains("RESULT=status") && !other.output.contains("LEASE="), "\(other)")
    let end = try client(served, "REQUEST=release", "NAME=vm").wait()
    #expect(end.output == "HOLDFAST=1\nRESULT=release\nBYTES=4194304\n", "\(end)")
  }

  /// The program of docs/socket.md leases, and becomes a monitor that has the memory open.
  @Test func theDocumentedClient() throws {
    let served = try serve(1)
    let path = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "docs/socket.md").path
    let page = try String(contentsOfFile: path, encoding: .utf8)
    let start = try #require(page.range(of: "```python\n")?.upperBound)
    let end = try #require(page.range(of: "```\n", range: start..<page.endIndex)?.lowerBound)
    #expect(page[start..<end].split(separator: "\n").count <= 50)
    let monitor = try HoldfastProgram(
      [
        "-c", String(page[start..<end]), served.place.file("socket"), "4194304", "--", "sh", "-c",
        "stat -L -c '%s %u' /proc/self/fd/{fd}",
      ], command: ["runuser", "-u", "nobody", "--", "/usr/bin/python3"])
    let outcome = try monitor.wait()
    #expect(outcome.output == "4194304 65534\n", "\(outcome)")
    // Its lock was the lease.
    try served.until("collected") { served.place.names(nobody).isEmpty }
  }

  @Test func onlyTheGroupMayConnect() throws {
    let served = try serve(1, group: "1")
    try served.place.run(["reservoir", "lease", "-m", "4M"], as: "nobody")
      .expectFailure(1, "may not use")
    let outcome = try served.place.run(["reservoir", "lease", "-m", "4M"], as: "daemon")
    #expect(outcome.status == 0, "\(outcome)")
  }

  @Test func withoutAService() throws {
    let place = try ReservoirPlace(options: ["--group", "65534"])
    try place.get("reservoir", "fill", "4M")
    for words in [
      ["reservoir", "lease", "-m", "4M"], ["reservoir", "status"], ["reservoir", "release", "vm"],
      ["run", "-m", "4M", "--", "true", "{memory}"],
    ] {
      try place.run(words, as: "nobody").expectFailure(
        1, "no service of the reservoir listens at \(place.file("socket"))")
    }
  }

  /// The service manager may create the socket, elsewhere.
  @Test func aSocketOfTheServiceManager() throws {
    let served = try ServedPlace(options: ["--group", "65534"])
    try served.configure("[level]\nfiles = 1x4M\n")
    let path = served.place.path + "/by-manager.sock"
    let script = """
      import os, socket, sys
      path, program = sys.argv[1], sys.argv[2:]
      s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
      s.bind(path)
      os.chmod(path, 0o666)
      s.listen()
      if s.fileno() != 3:
          os.dup2(s.fileno(), 3)
      os.set_inheritable(3, True)
      os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
      os.execv(program[0], program)
      """
    try served.start(command: ["/usr/bin/python3", "-c", script, path, HoldfastProgram.path])
    try served.until("filled") { served.ready.count == 1 }
    let answer = try PythonClient.start(
      "lease", [path, "REQUEST=lease", "BYTES=4194304", "NAME=vm"], as: "nobody"
    ).wait()
    #expect(answer.output.contains("FILE=4194304 0\n"), "\(answer)")
    let words = ["reservoir", "release", "vm", "--socket", path]
    let command = ["runuser", "-u", "nobody", "--", HoldfastProgram.path]
    let end = try HoldfastProgram(words, command: command).wait()
    #expect(end.status == 0, "\(end)")
    // Also at the socket in the reservoir's folder.
    try served.until("filled again") { served.ready.count == 1 }
    let lease = try served.place.run(["reservoir", "lease", "-m", "4M"], as: "nobody")
    #expect(lease.status == 0, "\(lease)")
  }
}

/// Programs of `Tests/Clients`, as other users run them.
enum PythonClient {
  /// Starts a client, whose process is that of the object. Its text is an argument, since the user
  /// may not be able to read this folder.
  static func start(
    _ name: String, _ words: [String], as user: String
  ) throws -> HoldfastProgram {
    let path = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appending(path: "Clients/\(name).py").path
    let text = try String(contentsOfFile: path, encoding: .utf8)
    let account = try #require(getpwnam(user)).pointee
    return try HoldfastProgram(
      words,
      command: [
        "setpriv", "--reuid", "\(account.pw_uid)", "--regid", "\(account.pw_gid)", "--clear-groups",
        "/usr/bin/python3", "-c", text,
      ])
  }
}
