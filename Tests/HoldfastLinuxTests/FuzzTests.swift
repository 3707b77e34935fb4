import Foundation
import HoldfastCore
import HoldfastTestKit
import Testing

@testable import HoldfastLinux

/// Random contents of the kernel's files: whatever they are, the probe, its report and its advice
/// return.
struct FuzzTests {
  private static let meminfo = """
    MemTotal:       24567890 kB
    MemFree:        1234567 kB
    MemAvailable:   20123456 kB
    Active(file):   123 kB
    Hugepagesize:   2048 kB
    Node 0 MemFree: 12 kB
    """
  private static let mountinfo = """
    36 35 98:0 / /sys/fs/cgroup rw,noatime master:1 - cgroup2 cgroup rw
    37 35 98:0 /a\\040b /sys/fs/cgroup/memory rw shared:2 - cgroup cgroup rw,memory
    """
  private static let smaps = """
    7f0000000000-7f0000400000 rw-s 00000000 00:01 123 /memfd:x (deleted)
    Rss:                4096 kB
    Shared_Hugetlb:     4096 kB
    KernelPageSize:     2048 kB
    VmFlags: rd wr sh mr ht lo
    """
  private static let numaMaps =
    "7f0000000000 bind:1 file=/x huge dirty=4 N0=4 N1=18446744073709551615 kernelpagesize_kB=2048"

  /// Files that a probe reads, and what they contain.
  private static let files: [(path: String, text: String)] = [
    ("proc/meminfo", meminfo), ("proc/self/mountinfo", mountinfo),
    ("proc/self/cgroup", "0::/a/b\n4:memory,cpu:/x/../y\n"),
    ("proc/self/status", "CapEff:\t000001ffffffffff\nMems_allowed_list:\t0-1,3\n"),
    ("proc/self/limits", "Max locked memory         8388608              unlimited   bytes\n"),
    ("proc/cpuinfo", "model name : A\u{202E} B\nvendor_id : GenuineIntel\n"),
    ("proc/sys/vm/max_map_count", "65530\n"), ("proc/sys/vm/overcommit_memory", "2\n"),
    ("proc/sys/vm/unprivileged_userfaultfd", "0\n"),
    ("sys/devices/system/cpu/online", "0-3,8-4294967295\n"),
    ("sys/devices/system/node/online", "0-1,5\n"),
    ("sys/devices/system/node/node0/meminfo", "Node 0 MemTotal: 100 kB\nNode 0 MemFree: 9 kB\n"),
    ("sys/devices/system/node/node0/cpulist", "0-4294967295\n"),
    ("sys/devices/system/node/node0/distance", "10 20 -1\n"),
    (
      "sys/devices/system/node/node0/hugepages/hugepages-2048kB/free_hugepages",
      "18446744073709551615\n"
    ),
    ("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n"),
    ("sys/kernel/mm/transparent_hugepage/shmem_enabled", "[advise] never\n"),
    ("sys/kernel/mm/transparent_hugepage/hpage_pmd_size", "2097152\n"),
    ("sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "18446744073709551615\n"),
    ("sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "9223372036854775808\n"),
    ("sys/kernel/mm/hugepages/hugepages-2048kB/resv_hugepages", "1\n"),
    ("sys/kernel/mm/hugepages/hugepages-2048kB/surplus_hugepages", "2\n"),
    ("sys/kernel/mm/hugepages/hugepages-1048576kB/free_hugepages", "17179869184\n"),
    ("sys/kernel/mm/hugepages/hugepages-9007199254740992kB/free_hugepages", "3\n"),
    ("sys/fs/cgroup/memory.max", "max\n"), ("sys/fs/cgroup/a/b/memory.max", "1000000\n"),
    ("sys/fs/cgroup/a/b/memory.current", "999\n"), ("sys/fs/cgroup/a/cpu.max", "100000 100000\n"),
    ("sys/fs/cgroup/a/b/memory.stat", "inactive_file 12\n"),
    ("sys/fs/cgroup/a/hugetlb.2MB.max", "4194304\n"),
  ]

  @Test func `parsers of the kernel's texts`() {
    var fuzz = Fuzz(
      "kernel texts",
      like: [Self.meminfo, Self.mountinfo, Self.smaps, Self.numaMaps]
        + Self.files.map(\.text) + ["hugepages-2048kB", "0-3,8,10-11"])
    fuzz.texts { text in
      _ = (HostParsers.memory(text), HostParsers.field("MemTotal", in: text))
      _ = (HostParsers.statistic("inactive_file", in: text), HostParsers.kibibytes(text))
      _ = (HostParsers.hugePageSize(directory: text), HostParsers.chosen(text))
      #expect(HostParsers.numbers(text).allSatisfy { $0 < 8192 })
      #expect(HostParsers.printable(text).unicodeScalars.allSatisfy { $0.isPrintable })
      _ = (HostParsers.capabilities(text[...]), Mount.unescaped(text[...]))
      let mounts = Mount.parse(text)
      for mount in mounts { _ = mount.directories(upFrom: text) }
      _ = CgroupFiles.hierarchies(of: "memory", membership: text, mounts: mounts)
      for mapping in KernelMapping.parse(text) { _ = (mapping.hugetlb, mapping["Rss"]) }
      for mapping in NumaMapping.parse(text) { _ = mapping.bytes.count }
    }
  }

  @Test func `trees of the kernel's files`() throws {
    var fuzz = Fuzz("trees", like: Self.files.map(\.text))
    for _ in 0..<max(1, Fuzz.cases / 25) {
      var files: [String: String] = [:]
      for file in Self.files where Int.random(in: 0..<8, using: &fuzz.random) > 0 {
        let isOdd = Int.random(in: 0..<3, using: &fuzz.random) == 0
        files[file.path] = isOdd ? fuzz.text() : file.text
      }
      let tree = try HostTree(files)
      let host = HostProbe(root: tree.root).host()
      let memory = ByteCount(UInt64.random(in: 0 ... .max, using: &fuzz.random))
      let text = HostReport.text(host, advice: HostAdvice(host, memory: memory, program: "x"))
      #expect(!text.isEmpty && host.parallelism >= 1)
      #expect(text.unicodeScalars.allSatisfy { $0.isPrintable || $0 == "\n" }, "\(text)")
      let confined = host.confined(to: .bind(NodeID(0)))
      #expect(confined.availableForGuests <= host.availableForGuests)
      let pool = HugePagePool(size: .mebibytes(2), root: tree.root)
      do { try pool.increase(by: PageCount(memory.rawValue)).giveBack() } catch {}
    }
  }
}
