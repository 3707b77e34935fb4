import Foundation
import HoldfastTestKit
import Testing

private let poolFolder = "/sys/kernel/mm/hugepages/hugepages-2048kB/"
private let shmemPath = "/sys/kernel/mm/transparent_hugepage/shmem_enabled"

extension FieldTests {
  /// Scripts that change the host for their time, and get a second signal while they restore it, as
  /// from a supervisor that is impatient or a user who presses ^C again.
  ///
  /// The pool of huge pages is a file that only the script sees; stand-ins for the programs that the
  /// script calls say when it runs and when it cleans up.
  @Suite(
    .enabled(
      if: HostNeeds.isRoot && FileManager.default.fileExists(atPath: poolFolder), "needs root"),
    .enabled(if: Situation.canMake("--bind", "/dev/null=/dev/zero"), Situation.comment))
  struct ScriptCleanUp {
    /// A folder with stand-ins, removed with the object.
    private final class Stage {
      let folder = FileManager.default.temporaryDirectory.path + "/holdfast-script-\(UUID())"

      /// The setting that continuous integration changes, as the kernel prints it.
      static let shmem = "always within_size advise [never] deny force\n"

      init(_ programs: [String: String]) throws {
        for name in ["bin", "tmp"] {
          try FileManager.default.createDirectory(
            atPath: folder + "/" + name, withIntermediateDirectories: true)
        }
        for name in ["nr", "resv"] { try write("0\n", name) }
        try write(Self.shmem, "shmem")
        for (name, text) in programs {
          try ScriptFile.write(
            "#!/bin/sh\ncd '\(folder)'\n" + text, to: folder + "/bin/" + name)
        }
      }

      deinit { try? FileManager.default.removeItem(atPath: folder) }

      func write(_ text: String, _ name: String) throws {
        try text.write(toFile: folder + "/" + name, atomically: false, encoding: .utf8)
      }

      func text(_ name: String) -> String {
        (try? String(contentsOfFile: folder + "/" + name, encoding: .utf8)) ?? ""
      }

      func exists(_ name: String) -> Bool {
        FileManager.default.fileExists(atPath: folder + "/" + name)
      }

      /// What the script has in its folder for temporary files.
      var temporary: [String] { FileManager.default.subpaths(atPath: folder + "/tmp") ?? [] }

      /// Starts a script of the repository with the stand-ins.
      func start(_ script: String, _ arguments: String...) throws -> HoldfastProgram {
        // All pages of the pool are free.
        let pool = ["nr=nr", "nr=free", "resv=resv"].flatMap {
          ["--bind", "\(folder)/\($0.replacing("=", with: "=\(poolFolder)"))_hugepages"]
        }
        let words = [
          "PATH=\(folder)/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TMPDIR=\(folder)/tmp",
          "HOLDFAST_GUEST_KERNEL=\(folder)/nr", Repository.path(script),
        ]
        return try Situation.start(
          pool + ["--bind", "\(folder)/shmem=\(shmemPath)"], words + arguments,
          program: "env")
      }
    }

    /// Ends a script by a signal, sends others during its clean-up, and checks what it leaves.
    private func end(
      _ program: HoldfastProgram, _ stage: Stage, when isStarted: () -> Bool
    ) throws {
      let hasStarted = eventually(within: .seconds(30), isStarted)
      try #require(hasStarted, "\(program.errorSoFar)")
      #expect(stage.text("nr") != "0\n", "\(program.errorSoFar)")
      program.send(SIGTERM)
      let isCleaning = eventually(within: .seconds(30)) { stage.exists("cleaning") }
      try #require(isCleaning, "\(program.errorSoFar)")
      for signal in [SIGTERM, SIGINT, SIGHUP, SIGTERM] {
        program.send(signal)
        usleep(50_000)
      }
      let outcome = try program.wait()
      #expect(outcome.status == 1, "\(outcome)")
      #expect(stage.text("nr") == "0\n", "\(outcome)")
      #expect(stage.temporary == [], "\(outcome)")
      #expect(["never\n", Stage.shmem].contains(stage.text("shmem")), "\(outcome)")
    }

    @Test func `the guest of the reservoir`() throws {
      let stage = try Stage([
        "qemu-system-x86_64": "exit 0\n", "busybox": "cat >/dev/null\n",
        "holdfast": "touch started\nsleep 2\n",
        "umount": "touch cleaning\nsleep 1\nexec /bin/umount \"$@\"\n",
      ])
      let program = try stage.start("Scripts/reservoir-guest/run", stage.folder + "/bin/holdfast")
      try end(program, stage) { stage.exists("started") }
    }

    @Test func `the recipes`() throws {
      let stage = try Stage([
        "holdfast": "exit 0\n", "rmdir": "touch cleaning\nsleep 0.5\nexec /bin/rmdir \"$@\"\n",
      ])
      let program = try stage.start(
        "Scripts/recipes/run", stage.folder + "/bin/holdfast", "libvirt-hook")
      try end(program, stage) { stage.temporary.contains { $0.hasSuffix("/libvirt-hook") } }
    }

    @Test func `continuous integration`() throws {
      let stage = try Stage([
        "make": "touch started\nexec sleep 100\n",
        // The clean-up reads the size of the pool.
        "cat": "[ ! -e started ] || { touch cleaning; sleep 1; }\nexec /bin/cat \"$@\"\n",
      ])
      let program = try stage.start(".ci/run", "lint")
      try end(program, stage) { stage.exists("started") }
    }
  }

  /// Scripts that download a package into a folder, which may have an older one.
  struct FetchScripts {
    /// Runs the script with stand-ins for apt-get, apt-cache and dpkg-deb in one folder, while the
    /// newest version changes.
    @Test func `the newest kernel is taken beside older packages`() throws {
      let folder = FileManager.default.temporaryDirectory.path + "/holdfast-fetch-\(UUID())"
      defer { try? FileManager.default.removeItem(atPath: folder) }
      try FileManager.default.createDirectory(
        atPath: folder + "/bin", withIntermediateDirectories: true)
      for (name, text) in [
        "apt-cache":
          """
        for version in $VERSIONS; do
          echo "  Depends: linux-image-$version-cloud-amd64"
        done

        """,
        "apt-get":
          """
        for package in "$@"; do :; done
        echo "$package" >"${package}_1_amd64.deb"

        """,
        // dpkg-deb -x PACKAGE FOLDER
        "dpkg-deb":
          """
        [ $# = 3 ] || { echo "dpkg-deb: $# arguments" >&2; exit 2; }
        mkdir -p "$3/boot"
        version=$(cat "$2")
        echo "$version" >"$3/boot/vmlinuz-${version#linux-image-}"

        """,
      ] {
        let path = folder + "/bin/" + name
        try ScriptFile.write("#!/bin/sh\n" + text, to: path)
      }
      func fetch(_ versions: String) throws -> String {
        let outcome = try HoldfastProgram(
          [folder + "/out"],
          command: [
            "env", "PATH=\(folder)/bin:/usr/bin:/bin", "VERSIONS=\(versions)",
            Repository.path("Scripts/guest/fetch-kernel"),
          ]
        ).wait()
        #expect(outcome.status == 0, "\(outcome)")
        return outcome.output
      }
      let boot = folder + "/out/boot/vmlinuz-"
      #expect(try fetch("6.1.0-9") == boot + "6.1.0-9-cloud-amd64\n")
      // An older package of an earlier version of the script.
      try "old".write(
        toFile: folder + "/out/linux-image-6.1.0-9-cloud-amd64_1_amd64.deb", atomically: false,
        encoding: .utf8)
      #expect(try fetch("6.1.0-10") == boot + "6.1.0-10-cloud-amd64\n")
      #expect(try fetch("6.1.0-9 6.1.0-10") == boot + "6.1.0-10-cloud-amd64\n")
      let left = try FileManager.default.contentsOfDirectory(atPath: folder + "/out").sorted()
      #expect(left == ["boot", "linux-image-6.1.0-9-cloud-amd64_1_amd64.deb"])
    }
  }
}

/// Files of the repository.
enum Repository {
  private static let root = URL(filePath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().path

  static func path(_ name: String) -> String { root + "/" + name }
}
