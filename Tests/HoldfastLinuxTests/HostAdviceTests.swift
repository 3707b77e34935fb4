import Foundation
import HoldfastCore
import Testing

@testable import HoldfastLinux

struct HostAdviceTests {
  private func host(_ system: HostSystem = .permissive) throws -> HostCapabilities {
    let tree = try HostTree.sound()
    return withExtendedLifetime(tree) { HostProbe(root: tree.root, system: system).host() }
  }

  private func finding(
    _ text: String, _ host: HostCapabilities, memory: ByteCount = .gibibytes(4),
    program: String? = nil
  ) throws -> HostAdvice.Finding {
    let advice = HostAdvice(host, memory: memory, program: program)
    return try #require(advice.findings.first { $0.statement.contains(text) }, "\(advice)")
  }

  @Test func `a complete host needs nothing`() throws {
    let advice = HostAdvice(try host())
    #expect(advice.level == .good)
    #expect(advice.memory == .gibibytes(4))
    #expect(advice.findings.count == 5)
    #expect(advice.findings.allSatisfy { $0.command == nil })
  }

  @Test func `the command for missing huge pages sets the size of the whole pool`() throws {
    var host = try host()
    let tee = " | sudo tee /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"
    // 4,100 pages of which 4,096 are free; 10 GiB are 5,120: 1,024 more.
    let short = try finding("only 8 GiB free in pages of 2 MiB", host, memory: .gibibytes(10))
    #expect(short.level == .couldBeBetter && short.command == "echo 5124" + tee)

    host.hugePages[0].total = .zero
    host.hugePages[0].free = .zero
    let none = try finding("no free huge pages", host)
    #expect(none.level == .missing && none.command == "echo 2048" + tee)

    host.privileges.effectiveUser = 0
    #expect(
      try finding("no free huge pages", host).command
        == "echo 2048 > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")

    host.memory.available = .gibibytes(1)
    let beyond = try finding("only 1 GiB available to make more", host)
    #expect(beyond.level == .missing && beyond.command == nil)

    host.hugePages = []
    #expect(try finding("CONFIG_HUGETLBFS", host).command == nil)
  }

  @Test func `larger pages that are enough are good`() throws {
    var host = try host()
    host.hugePages[0].free = .zero
    host.hugePages[1].free = PageCount(4)
    #expect(try finding("4 GiB free in pages of 1 GiB", host).level == .good)
    #expect(
      try finding("only 4 GiB free in pages of 1 GiB", host, memory: .gibibytes(5)).command != nil)
  }

  @Test func `the limit of a hugetlb cgroup is reported`() throws {
    var host = try host()
    host.hugePages[0].cgroup = .init(
      file: "/x/hugetlb.2MB.max", limit: .gibibytes(3), remaining: .gibibytes(2))
    let finding = try finding("the hugetlb cgroup leaves 2 GiB of 3 GiB (/x/hugetlb.2MB.max)", host)
    #expect(finding.level == .couldBeBetter && finding.command == nil)
  }

  @Test func `huge pages for shared memory that are off are reported`() throws {
    var host = try host()
    host.transparentHugePages.sharedMemory = .never
    let finding = try finding("shmem_enabled=never", host)
    #expect(finding.level == .couldBeBetter)
    #expect(
      finding.command
        == "echo advise | sudo tee /sys/kernel/mm/transparent_hugepage/shmem_enabled")
  }

  @Test func `the lock limit and the commands that raise it`() throws {
    var host = try host()
    host.privileges.ignoresMemoryLockLimit = false
    func command(_ host: HostCapabilities, _ program: String? = nil) throws -> String? {
      let finding = try finding(
        "this process may lock only 8 MiB of memory", host, program: program)
      #expect(finding.level == .missing)
      return finding.command
    }
    #expect(
      try command(host)
        == #"echo "$USER - memlock unlimited" | sudo tee /etc/security/limits.d/holdfast.conf"#)
    #expect(
      try command(host, "/opt/it's/holdfast")
        == #"sudo setcap cap_ipc_lock+ep '/opt/it'\''s/holdfast'"#)
    host.privileges.memoryLockHardLimit = nil
    #expect(try command(host) == "ulimit -l unlimited")
    host.privileges.memoryLockHardLimit = .gibibytes(4)
    #expect(try command(host) == "ulimit -l 4194304")
    host.privileges.memoryLockLimit = .gibibytes(4)
    #expect(HostAdvice(host, memory: .gibibytes(4)).level == .good)
  }

  @Test func `refused devices are reported with their commands`() throws {
    let host = try host(.refusing)
    let userFault = try finding("no demand paging and no forks", host)
    #expect(userFault.level == .missing)
    #expect(userFault.command == "sudo sysctl -w vm.unprivileged_userfaultfd=1")
    #expect(try finding("no KVM guests", host).command == "sudo usermod -aG kvm $USER")
  }

  @Test func `limits are reported only if they are too low`() throws {
    var host = try host()
    #expect(HostAdvice(host).findings.count == 5)
    host.maximumMapCount = 1000
    #expect(
      try finding("max_map_count is 1000", host).command
        == "sudo sysctl -w vm.max_map_count=65530")
    host.overcommit = .never
    #expect(try finding("overcommit_memory is 2", host).level == .couldBeBetter)
    host.cgroup.memory = .init(file: "/x/memory.max", limit: .gibibytes(2), remaining: .zero)
    #expect(
      try finding(
        "only 0 bytes of memory other than hugetlb left in the cgroup (/x/memory.max)", host
      ).command == nil)
  }

  @Test func `the report is aligned`() throws {
    let host = try host(.refusing)
    let lines = HostReport.text(host).split(separator: "\n").map(String.init)
    #expect(lines.contains("memory       16 GiB, 6 GiB available"))
    #expect(
      lines.contains(
        "NUMA nodes   0: 8 GiB, 1 KiB free, 1024 free pages of 2 MiB, processors 0-1, distances 10 20"
      ))
    #expect(
      lines.contains(
        "             1: 8 GiB, 2 KiB free, 1025 free pages of 2 MiB, processors 2-3,8, distances 20 10"
      ))
    #expect(lines.contains("missing  no KVM guests: this user has no permission to open /dev/kvm"))
    #expect(lines.contains("         $ sudo usermod -aG kvm $USER"))
  }

  @Test(
    arguments: [
      (0, "0 bytes"), (1023, "1023 bytes"), (1024, "1 KiB"), (1536, "1.5 KiB"),
      (23 << 30 | 1 << 29, "23.5 GiB"), (.max, "16777215.9 TiB"),
    ] as [(UInt64, String)])
  func `counts are rounded down to a unit`(_ bytes: UInt64, _ text: String) {
    #expect(HostReport.rounded(ByteCount(bytes)) == text)
  }

  @Test func `advice survives JSON`() throws {
    let advice = HostAdvice(try host(.refusing))
    let data = try JSONEncoder().encode(advice)
    #expect(try JSONDecoder().decode(HostAdvice.self, from: data) == advice)
  }
}
