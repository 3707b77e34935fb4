import HoldfastCore
import Testing

@testable import HoldfastLinux

struct CgroupFilesTests {
  private func limits(_ tree: HostTree) -> HostCapabilities.Cgroup {
    HostProbe(root: tree.root, system: .permissive).host().cgroup
  }

  private let mount2 = "31 23 0:28 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n"

  @Test func `the tightest of nested version 2 limits applies`() throws {
    let tree = try HostTree.sound()
    try tree.write(mount2, to: "proc/self/mountinfo")
    try tree.write("0::/user.slice/vm.scope\n", to: "proc/self/cgroup")
    let (slice, scope) = ("sys/fs/cgroup/user.slice/", "sys/fs/cgroup/user.slice/vm.scope/")
    try tree.write("4294967296\n", to: slice + "memory.max")
    try tree.write("3221225472\n", to: slice + "memory.current")
    try tree.write("anon 5\ninactive_file 536870912\n", to: slice + "memory.stat")
    try tree.write("3221225472\n", to: scope + "memory.max")
    try tree.write("1048576\n", to: scope + "memory.current")
    try tree.write("max\n", to: scope + "memory.high")
    try tree.write("max 100000\n", to: scope + "cpu.max")
    try tree.write("150000 100000\n", to: slice + "cpu.max")
    // The slice leaves 1 GiB and half a GiB of idle page cache, less than the scope's 3 GiB.
    let host = HostProbe(root: tree.root, system: .permissive).host()
    #expect(host.cgroup.memory?.file == "/sys/fs/cgroup/user.slice/memory.max")
    #expect(host.cgroup.memory?.limit == .gibibytes(4))
    #expect(host.cgroup.memory?.remaining == .mebibytes(1536))
    #expect(host.availableForGuests == .mebibytes(1536))
    #expect(host.cgroup.processors == 1.5)
    #expect(host.parallelism == 2)
  }

  @Test func `memory.high of version 2 applies too`() throws {
    let tree = try HostTree.sound()
    try tree.write(mount2, to: "proc/self/mountinfo")
    try tree.write("0::/vm\n", to: "proc/self/cgroup")
    try tree.write("max\n", to: "sys/fs/cgroup/vm/memory.max")
    try tree.write("1073741824\n", to: "sys/fs/cgroup/vm/memory.high")
    try tree.write("2147483648\n", to: "sys/fs/cgroup/vm/memory.current")
    #expect(limits(tree).memory?.remaining == .zero)
  }

  @Test func `version 2 without limits`() throws {
    let tree = try HostTree.sound()
    try tree.write(mount2, to: "proc/self/mountinfo")
    try tree.write("0::/vm\n", to: "proc/self/cgroup")
    try tree.write("max\n", to: "sys/fs/cgroup/vm/memory.max")
    #expect(limits(tree) == HostCapabilities.Cgroup())
  }

  @Test func `version 1 limits and quota`() throws {
    let tree = try HostTree.sound()
    try tree.write(
      """
      32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
      35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
      41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw

      """, to: "proc/self/mountinfo")
    try tree.write("4:memory:/a:b/c\n2:cpu,cpuacct:/\n0::/\n", to: "proc/self/cgroup")
    let memory = "sys/fs/cgroup/memory/"
    try tree.write("9223372036854771712\n", to: memory + "memory.limit_in_bytes")
    try tree.write("2147483648\n", to: memory + "a:b/c/memory.limit_in_bytes")
    try tree.write("1610612736\n", to: memory + "a:b/c/memory.usage_in_bytes")
    try tree.write("total_inactive_file 1073741824\n", to: memory + "a:b/c/memory.stat")
    try tree.write("50000\n", to: "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us")
    try tree.write("100000\n", to: "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us")
    let cgroup = limits(tree)
    #expect(cgroup.memory?.limit == .gibibytes(2))
    #expect(cgroup.memory?.remaining == .mebibytes(1536))
    #expect(cgroup.processors == 0.5)
    try tree.write("-1\n", to: "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us")
    try tree.write("9223372036854771712\n", to: memory + "a:b/c/memory.limit_in_bytes")
    #expect(limits(tree) == HostCapabilities.Cgroup())
  }

  @Test func `hugetlb limits bound the available pages`() throws {
    let tree = try HostTree.sound()
    try tree.write(mount2, to: "proc/self/mountinfo")
    try tree.write("0::/vm\n", to: "proc/self/cgroup")
    try tree.write("1073741824\n", to: "sys/fs/cgroup/vm/hugetlb.2MB.max")
    try tree.write("536870912\n", to: "sys/fs/cgroup/vm/hugetlb.2MB.current")
    try tree.write("max\n", to: "sys/fs/cgroup/vm/hugetlb.2MB.rsvd.max")
    let pages = HostProbe(root: tree.root, system: .permissive).host().hugePages
    #expect(
      pages[0].cgroup
        == .init(
          file: "/sys/fs/cgroup/vm/hugetlb.2MB.max", limit: .gibibytes(1),
          remaining: .mebibytes(512)))
    #expect(pages[0].available == PageCount(256))
    #expect(pages[1].cgroupRemaining == nil)
  }

  @Test func `limits on memory bound huge pages where they count`() throws {
    let tree = try HostTree.sound()
    try tree.write("0::/vm\n", to: "proc/self/cgroup")
    try tree.write("1073741824\n", to: "sys/fs/cgroup/vm/hugetlb.2MB.max")
    try tree.write("8388608\n", to: "sys/fs/cgroup/vm/memory.max")
    try tree.write("2097152\n", to: "sys/fs/cgroup/vm/memory.current")
    func pool() -> HostCapabilities.HugePages {
      HostProbe(root: tree.root, system: .permissive).host().hugePages[0]
    }
    let mount = "30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw"
    try tree.write(mount + "\n", to: "proc/self/mountinfo")
    #expect(pool().available == PageCount(512))
    try tree.write(mount + ",memory_hugetlb_accounting\n", to: "proc/self/mountinfo")
    #expect(pool().available == PageCount(3))
    #expect(
      pool().cgroup?.words
        == "the memory cgroup leaves 6 MiB of 8 MiB (/sys/fs/cgroup/vm/memory.max)")
  }

  @Test func `the mount that shows the process's cgroup is read, whatever its order`() throws {
    let tree = try HostTree.sound()
    try tree.write(
      """
      30 24 0:26 /other /sys/fs/cgroup/other rw - cgroup2 cgroup2 rw
      31 24 0:26 /vm /mnt/vm rw - cgroup2 cgroup2 rw

      """, to: "proc/self/mountinfo")
    try tree.write("0::/vm\n", to: "proc/self/cgroup")
    try tree.write("4194304\n", to: "sys/fs/cgroup/other/hugetlb.2MB.max")
    try tree.write("2097152\n", to: "mnt/vm/hugetlb.2MB.max")
    let pages = HostProbe(root: tree.root, system: .permissive).host().hugePages
    #expect(pages[0].cgroup?.file == "/mnt/vm/hugetlb.2MB.max")
    #expect(pages[0].available == .one)
  }

  @Test func `a mount from outside of the cgroup namespace is searched for the process`() throws {
    let tree = try HostTree.sound()
    try tree.write(
      "30 24 0:26 /../.. /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", to: "proc/self/mountinfo")
    try tree.write("0::/inner\n", to: "proc/self/cgroup")
    try tree.write("Name:\ttest\nPid:\t123\n", to: "proc/self/status")
    for (folder, processes) in [
      ("", "1\n"), ("a/", ""), ("a/x/", "12\n"), ("a/x/inner/", "1234\n"), ("b.slice/", ""),
      ("b.slice/y/", ""), ("b.slice/y/inner/", "99\n123\n"),
    ] {
      try tree.write(processes, to: "sys/fs/cgroup/" + folder + "cgroup.procs")
    }
    try tree.write("2097152\n", to: "sys/fs/cgroup/a/x/hugetlb.2MB.max")
    try tree.write("6291456\n", to: "sys/fs/cgroup/b.slice/y/inner/hugetlb.2MB.max")
    try tree.write("4194304\n", to: "sys/fs/cgroup/b.slice/hugetlb.2MB.max")
    func limit() -> HostCapabilities.Cgroup.MemoryLimit? {
      HostProbe(root: tree.root, system: .permissive).host().hugePages[0].cgroup
    }
    #expect(limit()?.file == "/sys/fs/cgroup/b.slice/hugetlb.2MB.max")
    // A process that is in none of them.
    try tree.write("Name:\ttest\nPid:\t7\n", to: "proc/self/status")
    #expect(limit() == nil)
  }

  @Test func `a container's mount, and paths outside of it`() {
    let mount = Mount(root: "/docker/abc", point: "/sys/fs/cgroup/memory")
    #expect(mount.directories(upFrom: "/docker/abc") == ["/sys/fs/cgroup/memory"])
    #expect(
      mount.directories(upFrom: "/docker/abc/x")
        == ["/sys/fs/cgroup/memory/x", "/sys/fs/cgroup/memory"])
    #expect(mount.directories(upFrom: "/other") == ["/sys/fs/cgroup/memory"])
    #expect(Mount(root: "/", point: "/c").directories(upFrom: "/../../x") == ["/c"])
    #expect(Mount.unescaped("/a\\040b\\134\\9") == "/a b\\\\9")
  }
}
