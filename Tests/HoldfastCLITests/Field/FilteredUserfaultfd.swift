import Foundation
import HoldfastTestKit
import Testing

private let canHideDevice =
  HostNeeds.isRoot && FileManager.default.fileExists(atPath: "/dev/userfaultfd")
  && Situation.canMake("--bind", "/dev/null=/dev/userfaultfd")

extension FieldTests {
  /// Filters of system calls that refuse userfaultfd(2) to a process whose capabilities allow it,
  /// as the default profiles of container runtimes do.
  @Suite(.enabled(if: canHideDevice, Situation.comment))
  struct FilteredUserfaultfd {
    private static let hidden = ["--bind", "/dev/null=/dev/userfaultfd"]

    private static let filters = ["EPERM", "ENOSYS", "EACCES"]

    private func options(_ filter: String) -> [String] {
      Self.hidden + ["--deny", "userfaultfd=" + filter]
    }

    /// What is said names the filter, and no setting of the kernel, which would not help.
    private func check(_ text: String) {
      #expect(text.contains("a seccomp filter"), "\(text)")
      #expect(!text.contains("unprivileged_userfaultfd"), "\(text)")
    }

    @Test(arguments: filters) func `the host's report names the filter`(filter: String) throws {
      let outcome = try Situation.run(options(filter), ["host", "--memory", "64M"])
      #expect(outcome.status == 0, "\(outcome)")
      check(outcome.output)
      #expect(outcome.output.contains("no demand paging and no forks: a seccomp filter"))
    }

    @Test(.enabled(if: HostNeeds.kvm, "\(HostNeeds.kvmComment)"), arguments: filters)
    func `a guest whose faults cannot be served is told of the filter`(filter: String) throws {
      let words = ["probe", "-m", "64M", "--mode", "demand", "--backing", "base"]
      let outcome = try Situation.run(options(filter), words)
      outcome.expectFailure(1, "a seccomp filter")
      check(outcome.error)
    }

    @Test(arguments: filters) func `a receipt names the filter`(filter: String) throws {
      let words = ["wire", "-m", "8M", "--backing", "base", "--path", "fault"]
      let outcome = try Situation.run(options(filter), words)
      #expect(outcome.status == 0, "\(outcome)")
      check(outcome.output)
    }

    /// Without the capability the setting is what is missing, and the device is.
    @Test func `without the capability the setting is named`() throws {
      let setting = "/proc/sys/vm/unprivileged_userfaultfd"
      guard try String(contentsOfFile: setting, encoding: .utf8) == "0\n" else { return }
      let capability = ["--drop-capability", "19"]
      let outcome = try Situation.run(Self.hidden + capability, ["host", "--memory", "64M"])
      #expect(outcome.output.contains("neither CAP_SYS_PTRACE nor access"), "\(outcome)")
      #expect(outcome.output.contains("$ sysctl -w vm.unprivileged_userfaultfd=1"))
    }

    @Test func `the device does where the system call is refused`() throws {
      let outcome = try Situation.run(
        ["--deny", "userfaultfd=EPERM"], ["host", "--memory", "64M"])
      #expect(outcome.output.contains("demand paging and forks (/dev/userfaultfd)"), "\(outcome)")
    }
  }

  /// Other calls that need no permission, and that filters refuse all the same.
  @Suite(
    .enabled(if: Situation.canMake("--deny", "memfd_create=EPERM"), Situation.comment))
  struct FilteredMemory {
    @Test(arguments: ["memfd_create=EPERM", "memfd_create=ENOSYS", "madvise=EPERM"])
    func `an arena that a filter prevents is no shortage of memory`(filter: String) throws {
      let words = ["wire", "-m", "8M", "--backing", "base"]
      let outcome = try Situation.run(["--deny", filter], words)
      outcome.expectFailure(1, "\(filter.prefix { $0 != "=" })(2)")
      #expect(outcome.error.contains("a seccomp filter"), "\(outcome)")
      #expect(!outcome.error.contains("available"), "\(outcome)")
    }

    @Test func `memory that a filter forbids to lock is not locked, and says so`() throws {
      let words = ["wire", "-m", "8M", "--backing", "base"]
      let outcome = try Situation.run(["--deny", "mlock=EPERM"], words)
      #expect(outcome.status == 0, "\(outcome)")
      #expect(outcome.output.contains("Not locked"), "\(outcome)")
      #expect(outcome.output.contains("a seccomp filter"), "\(outcome)")
    }

    @Test(.enabled(if: HostNeeds.kvm, "\(HostNeeds.kvmComment)"))
    func `a device that is not KVM's is no missing permission`() throws {
      let outcome = try Situation.run(["--bind", "/dev/null=/dev/kvm"], ["host", "-m", "64M"])
      #expect(
        outcome.output.contains("no KVM guests: /dev/kvm cannot be used: Inappropriate ioctl"),
        "\(outcome)")
    }
  }
}
