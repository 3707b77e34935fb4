import HoldfastCore
import Testing

@testable import HoldfastCLI

/// Every kind of advice, in the words of the program, for root and for another user.
struct AdviceTextTests {
  private func pool(_ count: UInt64, isOutsideContainer: Bool = false) -> Advice.HugePageGoal {
    Advice.HugePageGoal(
      pageSize: .mebibytes(2), node: nil, path: "/sys/pool", count: count,
      isOutsideContainer: isOutsideContainer)
  }

  /// The same words for every user.
  @Test(
    arguments: [
      (.requestLess(than: .gibibytes(3)), "less than 3G"),
      (.requestLess(than: ByteCount(5 << 20 | 4097)), "less than 5M"),
      (.requestLess(than: .kibibytes(8)), "less than 8K"),
      (.requestAtLeast(.mebibytes(2)), "at least 2M"),
      (
        .fill(size: .gibibytes(10), node: nil),
        "--wait <seconds>, or: holdfast reservoir fill 1x10G"
      ),
      (
        .fill(size: .gibibytes(10), node: NodeID(1)),
        "--wait <seconds>, or: holdfast reservoir fill 1x10G --host-numa-node 1"
      ),
      (
        .reserveAtBoot(pageSize: .gibibytes(1), count: 4),
        "a smaller size, or reserve huge pages at boot with the kernel's options hugepagesz=1G "
          + "hugepages=4"
      ),
      (.useBacking([.thp]), "--backing thp"),
      (.useBacking([.hugetlb2M, .thp]), "--backing hugetlb-2M or thp"),
      (.useBacking([.hugetlb2M, .thp, .base]), "--backing hugetlb-2M, thp or base"),
      (.run(["kill", "it now"], asRoot: false), "kill 'it now'"),
      (.chooseReservoir(["/a"]), "--mount /a"),
      (.chooseReservoir(["/a", "/b c"]), "--mount /a or '/b c'"),
      (.release(lease: "vm1"), "another --name, or: holdfast reservoir release vm1"),
      (.useAnotherName, "another --name"),
      (.upgradeKernel("5.14"), "Linux 5.14 or newer"),
      (.other("a regular file"), "a regular file"),
    ] as [(Advice, String)])
  func sameForAll(_ advice: Advice, _ text: String) {
    #expect(AdviceText.text(advice, user: 0) == text)
    #expect(AdviceText.text(advice, user: 1000) == text)
  }

  @Test func rootNeedsNoSudo() {
    func expect(_ advice: Advice, _ root: String, _ user: String) {
      #expect(AdviceText.text(advice, user: 0) == root)
      #expect(AdviceText.text(advice, user: 1000) == user)
    }
    expect(
      .reserveHugePages([pool(5)]), "echo 5 > /sys/pool", "echo 5 | sudo tee /sys/pool")
    expect(
      .reserveHugePages([pool(5), pool(6, isOutsideContainer: true)]),
      "on the host, outside of the container: echo 5 > /sys/pool && echo 6 > /sys/pool",
      "on the host, outside of the container: echo 5 | sudo tee /sys/pool && echo 6 | sudo tee "
        + "/sys/pool")
    expect(.set(path: "/sys/x", value: "1"), "echo 1 > /sys/x", "echo 1 | sudo tee /sys/x")
    expect(.run(["modprobe", "kvm"], asRoot: true), "modprobe kvm", "sudo modprobe kvm")
    expect(.becomeRoot, "as root of the host, outside of a container", "sudo")
    expect(
      .joinGroup, "as root of the host, outside of a container",
      "sudo, or join the group that may lease")
    expect(
      .keepOwner(7),
      "--owner 7, or release all leases and run: holdfast reservoir drain",
      "--owner 7, or release all leases and run: sudo holdfast reservoir drain")
    expect(
      .useService, "start the service as root: holdfast reservoir serve",
      "start the service as root: holdfast reservoir serve")
    expect(
      .createReservoir(mount: nil), "holdfast reservoir init", "sudo holdfast reservoir init")
    expect(
      .createReservoir(mount: "/a b"), "holdfast reservoir init --mount '/a b'",
      "sudo holdfast reservoir init --mount '/a b'")
    expect(
      .inspectAndRemove(path: "/a/x"), "inspect /a/x and remove it",
      "inspect /a/x and remove it as root")
    expect(
      .listLeases,
      "holdfast reservoir status --leases, and --user <user> for another user's lease",
      "holdfast reservoir status --leases")
  }

  /// Advice without an option or command has the library's words.
  @Test(
    arguments: [
      .retry, .wait(until: "it ends"), .enableDemandPaging, .raiseLimit("RLIMIT_AS"),
      .enlargeArena(free: .mebibytes(1), total: .mebibytes(4)),
    ] as [Advice])
  func descriptions(_ advice: Advice) {
    #expect(AdviceText.text(advice, user: 0) == advice.description)
    #expect(AdviceText.text(advice, user: 1000) == advice.description)
  }

  @Test func aCommandWithoutWaitDoesNotAdviseIt() {
    let advice = Advice.fill(size: .gibibytes(1), node: nil)
    #expect(
      AdviceText.text(advice, canWait: false, user: 0) == "holdfast reservoir fill 1x1G")
  }

  @Test func theLineHasTheStatementAndTheAdvice() {
    let error = HoldfastError(
      .noReadyMemory, operation: "lease 4 MiB", reason: "nothing is ready",
      advice: .useAnotherName)
    #expect(AdviceText.line(error) == "cannot lease 4 MiB: nothing is ready; try: another --name")
    let bare = HoldfastError(.cancelled, operation: "fill", reason: "it was cancelled")
    #expect(AdviceText.line(bare) == "cannot fill: it was cancelled")
  }

  @Test func `commands are for the reservoir that the user named`() {
    #expect(AdviceText.mount(in: ["holdfast", "run", "--mount", "/a", "--", "x"]) == "/a")
    #expect(AdviceText.mount(in: ["holdfast", "reservoir", "fill", "--mount=/b"]) == "/b")
    #expect(AdviceText.mount(in: ["holdfast", "run", "--", "x", "--mount", "/a"]) == nil)
    #expect(AdviceText.mount(in: ["holdfast", "reservoir", "status", "--mount"]) == nil)
    func text(_ advice: Advice) -> String { AdviceText.text(advice, mount: "/a b", user: 0) }
    #expect(
      text(.release(lease: "vm"))
        == "another --name, or: holdfast reservoir release vm --mount '/a b'")
    #expect(text(.createReservoir(mount: nil)) == "holdfast reservoir init --mount '/a b'")
    #expect(text(.createReservoir(mount: "/c")) == "holdfast reservoir init --mount /c")
    #expect(
      text(.fill(size: .gibibytes(1), node: NodeID(1)))
        == "--wait <seconds>, or: holdfast reservoir fill 1x1G --mount '/a b' --host-numa-node 1")
  }
}
