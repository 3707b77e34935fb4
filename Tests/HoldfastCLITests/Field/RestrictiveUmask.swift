import Foundation
import HoldfastTestKit
import Testing

extension FieldTests {
  /// A umask that leaves no permission at all, as a hardened supervisor or a mistake sets it.
  @Suite(.enabled(if: Situation.canMake("--umask", "0777"), Situation.comment))
  struct RestrictiveUmask {
    private let umask = ["--umask", "0777"]

    /// A folder on tmpfs, removed with the object.
    private final class Place {
      let path = "/dev/shm/holdfast-umask-\(UUID())"

      init() throws { try #require(mkdir(path, 0o755) == 0 && chmod(path, 0o755) == 0) }

      deinit {
        // As another user than root the folders may be unreadable before the fix.
        _ = try? HoldfastProgram(["-rf", path], command: ["rm"]).wait()
      }

      func mode(_ name: String) -> String {
        var status = stat()
        guard stat(path + "/" + name, &status) == 0 else { return "missing" }
        return String(status.st_mode & 0o7777, radix: 8)
      }
    }

    /// Runs the program in the situation.
    private func run(_ arguments: String...) throws {
      let outcome = try Situation.run(umask, arguments)
      #expect(outcome.status == 0 && outcome.error.isEmpty, "\(outcome)")
    }

    @Test func `all folders and files of a reservoir have their permissions`() throws {
      let place = try Place()
      // The folder of the mount is created too.
      let mount = place.path + "/mount"
      try run("reservoir", "init", "--mount", mount)
      try run("reservoir", "fill", "2x4M", "--mount", mount)
      try run("reservoir", "lease", "-m", "4M", "--name", "vm", "--mount", mount)
      let folder = "mount/holdfast/"
      #expect(place.mode("mount") == "755")
      let user = "\(geteuid())"
      for name in ["", "ready", "filling", "leased", "leased/\(user)"] {
        #expect(place.mode(folder + name) == "700", "\(name)")
      }
      #expect(place.mode(folder + "leased/\(user)/vm") == "600")
      let ready = try FileManager.default.contentsOfDirectory(
        atPath: place.path + "/" + folder + "ready")
      #expect(ready.count == 1 && place.mode(folder + "ready/\(ready[0])") == "600")
      // Puts the lease's file, whose size is wrong now, into quarantine.
      let file = place.path + "/" + folder + "ready/" + ready[0]
      #expect(truncate(file, 0) == 0)
      try run("reservoir", "gc", "--mount", mount)
      #expect(place.mode(folder + "quarantine") == "700")
    }

    @Test(
      .enabled(if: HostNeeds.isRoot, "needs root, which can change the user"),
      .enabled(if: HoldfastProgram.othersCanRun, "needs a program that other users can run"))
    func `a reservoir of another user than root works`() throws {
      let place = try Place()
      try #require(chmod(place.path, 0o777 | 0o1000) == 0)
      let mount = place.path + "/mount"
      for words in [
        ["init"], ["fill", "1x4M"], ["lease", "-m", "4M", "--name", "vm"], ["release", "vm"],
      ] {
        let arguments = ["reservoir"] + words + ["--mount", mount]
        let command = ["-u", "nobody", "--", HoldfastProgram.path] + arguments
        let outcome = try Situation.run(umask, command, program: "runuser")
        #expect(outcome.status == 0 && outcome.error.isEmpty, "\(outcome)")
      }
    }

    @Test func `the sockets and the textfile of the service have their permissions`() throws {
      let served = try ServedPlace()
      let text = served.folder.appending(path: "metrics.prom").path
      try served.configure(
        """
        [metrics]
        textfile = \(text)
        [socket]
        path = \(served.folder.path)/socket
        group = 0
        [level]
        files = 1x4M
        """)
      try served.start(command: Situation.command(umask) + [HoldfastProgram.path])
      try served.until("filled") { served.ready == ["4M"] }
      func mode(_ path: String) -> mode_t? {
        var status = stat()
        return stat(path, &status) == 0 ? status.st_mode & 0o7777 : nil
      }
      try served.until("listens") { mode(served.folder.path + "/socket") == 0o660 }
      try served.until("listens for events") { mode(served.place.file("events")) == 0o200 }
      try served.until("writes") { mode(text) == 0o644 }
      try served.send(SIGTERM)
      #expect(try served.end().status == 0)
    }

    @Test func `a plot can be read by its user, and keeps its permissions`() throws {
      let place = try Place()
      let plot = place.path + "/plot.svg"
      try run(
        "simulate", "--memory", "4G", "--guests", "2", "--duration", "1h", "--plot", plot)
      #expect(place.mode("plot.svg") == "600")
      // A file that exists keeps its permissions.
      try #require(chmod(plot, 0o640) == 0)
      try run(
        "simulate", "--memory", "4G", "--guests", "2", "--duration", "1h", "--plot", plot)
      #expect(place.mode("plot.svg") == "640")
    }

    @Test(.enabled(if: HostNeeds.kvm, "\(HostNeeds.kvmComment)"))
    func `a snapshot is private`() throws {
      let place = try Place()
      try run(
        "probe", "-m", "8M", "--mode", "snapshot", "--backing", "base", "--snapshot-file",
        place.path + "/image")
      #expect(place.mode("image") == "600")
    }
  }
}
