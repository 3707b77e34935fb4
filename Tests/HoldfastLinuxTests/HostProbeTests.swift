import Foundation
import Glibc
import HoldfastCore
import SystemPackage
import Testing

@testable import HoldfastLinux

// Foundation has a class of the same name.

struct HostProbeTests {
  private func host(_ tree: HostTree, _ system: HostSystem = .permissive) -> HostCapabilities {
    HostProbe(root: tree.root, system: system).host()
  }

  @Test func `every fact about a complete host`() throws {
    let host = host(try .sound())
    #expect(host.processors.model == "A CPU @ 2 GHz")
    #expect(host.processors.online == 5)
    #expect(host.processors.usable == 4)
    #expect(host.memory.total == .gibibytes(16))
    #expect(host.memory.free == .gibibytes(4))
    #expect(host.memory.available == .gibibytes(6))
    #expect(host.availableForGuests == .gibibytes(6))
    #expect(host.cgroup == HostCapabilities.Cgroup())
    #expect(host.pageSize == .kibibytes(4))
    #expect(host.hugePages.map(\.size) == [.mebibytes(2), .gibibytes(1)])
    #expect(host.hugePages[0].total == PageCount(4100))
    #expect(host.hugePages[0].availableBytes == .gibibytes(8))
    #expect(host.defaultHugePageSize == .mebibytes(2))
    #expect(host.transparentHugePages.privateMemory == .madvise)
    #expect(host.transparentHugePages.sharedMemory == .advise)
    #expect(host.transparentHugePages.size == .mebibytes(2))
    #expect(host.userFault.way == .systemCall && host.userFault.isComplete)
    #expect(host.privileges.ignoresMemoryLockLimit)
    #expect(host.privileges.effectiveUser == 1000)
    #expect(host.kvm.isUsable && host.kvm.preFaults == true)
    #expect(host.nodes.map(\.id) == [NodeID(0), NodeID(1)])
    #expect(host.nodes[1].total == .gibibytes(8))
    #expect(host.nodes[1].free == .kibibytes(2))
    #expect(
      host.nodes[1].hugePages
        == [.init(size: .mebibytes(2), total: PageCount(2050), free: PageCount(1025))])
    #expect(host.maximumMapCount == 65530)
    #expect(host.overcommit == .heuristic)
  }

  @Test func `everything about an empty tree is unknown`() throws {
    let host = host(try HostTree(), .refusing)
    #expect(host.memory == HostCapabilities.Memory())
    #expect(host.availableForGuests == .zero)
    #expect(host.hugePages.isEmpty && host.nodes.isEmpty)
    #expect(host.pageSize == nil && host.maximumMapCount == nil && host.overcommit == nil)
    #expect(host.parallelism == 1)
    #expect(!host.privileges.ignoresMemoryLockLimit)
    #expect(!HostReport.text(host).isEmpty)
  }

  @Test(arguments: [
    "", "\0", "[", "]", "[]", "]x[", ":", "::::", "-1", "18446744073709551616",
    "18446744073709551615", "MemTotal: 18446744073709551615 kB\nMemAvailable: x kB\n",
    "MemAvailable: 18014398509481983 kB\n", "0-99999999999", "5-2,1-,-,,", "0-4294967295", "max",
    "max 0", "1 0", "0 0", "/../../..", "0::/../../../etc", "0::\n4:memory\n",
    "36 35 98:0 / /sys/fs/cgroup rw - cgroup2 cgroup rw\\777", "model name: \u{1b}[31m\u{202e}",
  ])
  func garbageNeverTraps(_ garbage: String) throws {
    let tree = try HostTree.sound()
    let paths = try #require(FileManager.default.subpaths(atPath: tree.root))
    for path in paths {
      var isDirectory: ObjCBool = false
      _ = FileManager.default.fileExists(atPath: tree.root + "/" + path, isDirectory: &isDirectory)
      if !isDirectory.boolValue { try tree.write(garbage, to: path) }
    }
    for path in ["proc/self/mountinfo", "proc/self/cgroup", "sys/fs/cgroup/memory.max"] {
      try tree.write(garbage, to: path)
    }
    let pools = "sys/kernel/mm/hugepages/"
    try tree.write("7", to: pools + "hugepages-99999999999999999999kB/nr_hugepages")
    try tree.write("7", to: pools + "hugepages-3kB/nr_hugepages")
    let host = host(tree)
    #expect(host.nodes.count <= 1024)
    #expect(host.hugePages.count == 2)
    let text = HostReport.text(host, advice: HostAdvice(host, memory: ByteCount(.max)))
    #expect(!text.unicodeScalars.contains("\u{1b}") && !text.unicodeScalars.contains("\u{202e}"))
    // A pool of any size must not trap either.
    _ = try? HugePagePool(size: .mebibytes(2), root: tree.root).increase(by: .one).giveBack()
  }

  @Test func `a FIFO and a folder in place of files do not block`() throws {
    let tree = try HostTree(["proc/cpuinfo/x": "", "proc/sys/vm/x": ""])
    #expect(mkfifo(tree.root + "/proc/meminfo", 0o600) == 0)
    #expect(host(tree).memory == HostCapabilities.Memory())
    #expect(host(tree).processors.model == nil)
  }

  @Test func `paths stay under the root`() {
    let files = HostFiles(root: "/made/up")
    #expect(files.path("/a/../../../etc/passwd") == nil)
    #expect(files.path("/proc/meminfo") == "/made/up/proc/meminfo")
    #expect(HostFiles(root: "/").path("/proc/meminfo") == "/proc/meminfo")
  }

  // MARK: Access

  @Test func `the device is used if userfaultfd(2) is refused`() throws {
    var system = HostSystem.refusing
    system.userFaultFeatures = { call in
      if case .device(let path) = call {
        return path.hasSuffix("/dev/userfaultfd") ? .success(1 << 9) : .failure(.ioError)
      }
      return .failure(.notPermitted)
    }
    let answer = host(try .sound(), system).userFault
    #expect(answer.way == .device && answer.problem == nil)
    #expect(answer.minorOnHugePages && !answer.minorOnShared && !answer.isComplete)
  }

  @Test func `a refused userfaultfd has a reason and a remedy`() throws {
    let answer = host(try .sound(), .refusing).userFault
    #expect(answer.way == nil && answer.userModeOnly && answer.minorOnShared)
    #expect(answer.problem?.contains("CAP_SYS_PTRACE") == true)
    #expect(answer.remedy == "sudo sysctl -w vm.unprivileged_userfaultfd=1")

    let tree = try HostTree.sound()
    try tree.write("1\n", to: "proc/sys/vm/unprivileged_userfaultfd")
    let filtered = host(tree, .refusing).userFault
    #expect(filtered.problem?.contains("seccomp") == true && filtered.remedy == nil)

    // A kernel without the system call has no setting either; with it, a filter answers so.
    var system = HostSystem.refusing
    system.userFaultFeatures = { _ in .failure(.noFunction) }
    let hidden = host(tree, system).userFault
    #expect(hidden.problem?.hasPrefix("a seccomp filter") == true && hidden.remedy == nil)
    system.userFaultFeatures = {
      if case .device = $0 { return .failure(.noSuchFileOrDirectory) }
      return .failure(.noFunction)
    }
    let bare = try HostTree.sound()
    #expect(host(bare, system).userFault.problem?.contains("CONFIG_USERFAULTFD") == true)
  }

  /// The kernel refuses only processes without CAP_SYS_PTRACE, and none with UFFD_USER_MODE_ONLY.
  @Test func `other refusals of userfaultfd are those of a filter`() throws {
    let tree = try HostTree.sound()
    try tree.write("0\n", to: "proc/sys/vm/unprivileged_userfaultfd")
    #expect(host(tree, .refusing).userFault.remedy != nil)

    var system = HostSystem.refusing
    system.userFaultFeatures = { _ in .failure(.notPermitted) }
    let all = host(tree, system).userFault
    #expect(all.problem?.hasPrefix("a seccomp filter") == true && all.remedy == nil)

    try tree.write("Seccomp:\t0\nCapEff:\t0\n", to: "proc/self/status")
    #expect(host(tree, system).userFault.problem?.hasPrefix("a security module") == true)

    try tree.write("Seccomp:\t2\nCapEff:\t0000000000084000\n", to: "proc/self/status")
    let capable = host(tree, .refusing).userFault
    #expect(capable.problem?.hasPrefix("a seccomp filter") == true && capable.remedy == nil)
    // The capabilities of a user namespace are not those of the host.
    try tree.write("0 100000 65536\n", to: "proc/self/uid_map")
    #expect(host(tree, .refusing).userFault.remedy != nil)
  }

  @Test func `huge pages that are disabled for the process`() throws {
    let tree = try HostTree.sound()
    var system = HostSystem.permissive
    func isDisabled(_ answer: Result<Int, Errno>) -> Bool? {
      system.hugePageDisable = { answer }
      return host(tree, system).transparentHugePages.isDisabledForProcess
    }
    #expect(isDisabled(.success(0)) == false)
    #expect(isDisabled(.success(1)) == true)
    // PR_THP_DISABLE_EXCEPT_ADVISED.
    #expect(isDisabled(.success(3)) == false)
    #expect(isDisabled(.failure(.notPermitted)) == nil)
    for (text, expected) in [("0", true), ("1", false), ("", nil), ("2", nil)] as [(String, Bool?)]
    {
      try tree.write("THP_enabled:\t\(text)\n", to: "proc/self/status")
      #expect(isDisabled(.failure(.notPermitted)) == expected)
    }
  }

  /// Linux 6.8 and later have a setting for each size of huge pages.
  @Test func `the setting of the size of huge pages decides`() throws {
    let folder = "sys/kernel/mm/transparent_hugepage/"
    let tree = try HostTree.sound()
    func pages(_ own: String, _ all: String = "advise") throws
      -> HostCapabilities.TransparentHugePages
    {
      try tree.write("x [\(all)] y\n", to: folder + "shmem_enabled")
      for name in ["enabled", "shmem_enabled"] {
        try tree.write("x [\(own)] y\n", to: folder + "hugepages-2048kB/" + name)
      }
      return host(tree).transparentHugePages
    }
    let inherited = try pages("inherit")
    #expect(inherited.privateMemory == .madvise && inherited.sharedMemory == .advise)
    #expect(inherited.sharedMemoryPath == "/" + folder + "shmem_enabled")
    let never = try pages("never")
    #expect(never.privateMemory == .never && never.sharedMemory == .never)
    #expect(!never.givesShared && !never.givesPrivate)
    #expect(never.sharedMemoryPath == "/" + folder + "hugepages-2048kB/shmem_enabled")
    let command = HostAdvice(host(tree)).findings.compactMap(\.command).first
    #expect(command == "echo advise | sudo tee " + never.sharedMemoryPath)
    #expect(try pages("always", "never").givesShared)
    #expect(try pages("always", "deny").sharedMemory == .deny)
    #expect(try pages("always", "force").sharedMemory == .never)
    #expect(try pages("inherit", "force").givesShared)
  }

  @Test func `a refused KVM has a reason and a remedy`() throws {
    let tree = try HostTree.sound()
    var system = HostSystem.permissive
    func kvm(_ system: HostSystem) -> HostCapabilities.KVM { host(tree, system).kvm }
    system.kvmVersion = { _ in .failure(.permissionDenied) }
    #expect(kvm(system).remedy == "sudo usermod -aG kvm $USER")
    system.kvmVersion = { _ in .failure(.notPermitted) }
    #expect(kvm(system).remedy == nil && kvm(system).problem?.contains("container") == true)
    system.kvmVersion = { _ in .failure(.permissionDenied) }
    system.groupMayOpen = { _ in false }
    #expect(kvm(system).remedy == "sudo setfacl -m u:$USER:rw /dev/kvm")
    system.kvmVersion = { _ in .failure(.noSuchFileOrDirectory) }
    #expect(kvm(system).remedy == "sudo modprobe kvm_intel")
    system.kvmVersion = { _ in .success(11) }
    #expect(!kvm(system).isUsable && kvm(system).problem != nil)
  }

  @Test func `the lock limit applies to the root of a user namespace`() throws {
    let tree = try HostTree.sound()
    try tree.write("0 100000 65536\n", to: "proc/self/uid_map")
    let privileges = host(tree).privileges
    #expect(!privileges.ignoresMemoryLockLimit)
    #expect(privileges.mayLock(.mebibytes(8)) && !privileges.mayLock(.mebibytes(9)))
  }

  @Test func `capabilities survive JSON`() throws {
    let host = host(try .sound())
    let data = try JSONEncoder().encode(host)
    #expect(try JSONDecoder().decode(HostCapabilities.self, from: data) == host)
    let object = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    let memory = try #require(object["memory"] as? [String: Any])
    #expect(memory["total"] as? UInt64 == 16 << 30)
  }

  // MARK: The real host

  @Test func `the probe of this host agrees with the kernel`() throws {
    let host = HostProbe().host()
    // MemTotal may move between two readings where memory is hot-plugged.
    func total() throws -> ByteCount {
      let text = try String(contentsOfFile: "/proc/meminfo", encoding: .utf8)
      let match = try #require(text.firstMatch(of: /MemTotal: +(\d+) kB/))
      return .kibibytes(try #require(UInt64(match.1)))
    }
    #expect(try host.memory.total == total())
    let available = try #require(host.memory.available)
    #expect(host.availableForGuests <= available && available != .zero)
    #expect(host.pageSize == ByteCount(UInt64(sysconf(Int32(_SC_PAGESIZE)))))
    #expect(host.processors.online == sysconf(Int32(_SC_NPROCESSORS_ONLN)))
    #expect((1...sysconf(Int32(_SC_NPROCESSORS_CONF))).contains(host.processors.usable ?? 0))
    #expect(host.privileges.effectiveUser == geteuid())
    let directories =
      (try? FileManager.default.contentsOfDirectory(atPath: "/sys/kernel/mm/hugepages")) ?? []
    #expect(host.hugePages.count == directories.count)
    for pages in host.hugePages {
      #expect(directories.contains("hugepages-\(pages.size.rawValue / 1024)kB"))
      #expect(pages.total != nil && pages.free != nil && pages.reserved != nil)
      #expect(pages.surplus != nil && pages.overcommit != nil)
    }
    if FileManager.default.fileExists(atPath: "/sys/devices/system/node/node0") {
      #expect(host.nodes.contains { $0.id == NodeID(0) && $0.total != nil && $0.free != nil })
    }
    #expect(host.kvm.isUsable == (host.kvm.problem == nil))
    #expect((host.userFault.way == nil) == (host.userFault.problem != nil))
    #expect(host.maximumMapCount != nil && host.overcommit != nil)
    #expect(HostReport.text(host).split(separator: "\n").count > 15)
  }

  @Test func `probing leaves no descriptor open`() throws {
    // Other tests run in this process at the same time, so only a steady growth counts.
    func open() throws -> Int {
      try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count
    }
    let before = try open()
    for _ in 0..<100 { _ = HostProbe().host() }
    #expect(try open() < before + 100)
  }
}
