public import HoldfastCore

/// What a host lacks for guests of a given memory, and the commands that mend it.
public struct HostAdvice: Hashable, Sendable, Codable {
  /// How good a thing is.
  public enum Level: String, Hashable, Sendable, Codable {
    /// Nothing to do.
    case good
    /// It works, but slower or with less.
    case couldBeBetter = "could be better"
    /// Some of Holdfast does not work without it.
    case missing
  }

  /// One thing looked at.
  public struct Finding: Hashable, Sendable, Codable {
    /// How good it is.
    public var level: Level
    /// What was found, in one line.
    public var statement: String
    /// The exact shell command that mends it, for the user who probed, or nil where nothing needs
    /// mending or no command can.
    public var command: String?
  }

  /// The guest memory that the findings are about.
  public let memory: ByteCount
  /// The findings, in a set order: huge pages, shared huge pages, locking, userfaultfd, KVM, then
  /// limits that are out of the ordinary.
  public let findings: [Finding]

  /// The worst level among the findings.
  public var level: Level {
    let levels = findings.map(\.level)
    if levels.contains(.missing) { return .missing }
    return levels.contains(.couldBeBetter) ? .couldBeBetter : .good
  }

  /// Looks at what `host` offers guests of `memory` bytes in all: 10 GiB, or half of what the host
  /// has available where that is less, unless said. `program` is the path of the executable that
  /// may be given the right to lock memory.
  public init(_ host: HostCapabilities, memory: ByteCount? = nil, program: String? = nil) {
    let memory = memory ?? HostAdvice.defaultMemory(host)
    let adviser = Adviser(host: host, memory: memory, program: program)
    self.memory = memory
    findings =
      [
        adviser.hugePages(), adviser.sharedHugePages(), adviser.locking(), adviser.userFault(),
        adviser.kvm(),
      ]
      + [adviser.cgroup(), adviser.mapCount(), adviser.overcommit()].compactMap { $0 }
  }

  /// 10 GiB, or half of what is to be had where that is less, in whole 2 MiB pages.
  static func defaultMemory(_ host: HostCapabilities) -> ByteCount {
    let largest = (host.hugePages.map(\.availableBytes) + [host.availableForGuests]).max() ?? .zero
    let half = ByteCount(largest.rawValue / 2).roundedDown(to: .mebibytes(2))
    return min(.gibibytes(10), max(half, .mebibytes(2)))
  }
}

/// Judges one thing after the other.
private struct Adviser {
  let host: HostCapabilities
  let memory: ByteCount
  let program: String?
  var commands: Commands { Commands(user: host.privileges.effectiveUser) }

  func hugePages() -> HostAdvice.Finding {
    if let pool = host.hugePages.last(where: { $0.availableBytes >= memory }) {
      return .init(
        level: .good,
        statement: "\(HostReport.rounded(pool.availableBytes)) of free \(pool.size) pages")
    }
    // The pool that is nearest, or the kernel's choice.
    let fullest = host.hugePages.max { $0.availableBytes < $1.availableBytes }
    let usual = host.hugePages.first { $0.size == host.defaultHugePageSize } ?? host.hugePages.first
    guard let fullest, let usual else {
      return .init(level: .missing, statement: "the kernel has no huge pages (CONFIG_HUGETLBFS)")
    }
    let pool = fullest.available == .zero ? usual : fullest
    let have =
      pool.available == .zero
      ? "no huge pages free"
      : "only \(HostReport.rounded(pool.availableBytes)) of free \(pool.size) pages"
    let level: HostAdvice.Level = pool.available == .zero ? .missing : .couldBeBetter
    let statement = "\(have), for \(memory) of guest memory"
    if let remaining = pool.cgroupRemaining, remaining < memory {
      return .init(
        level: level,
        statement: statement + ": the hugetlb cgroup leaves \(HostReport.rounded(remaining))")
    }
    guard let wanted = memory.roundedUp(to: pool.size) else {
      return .init(level: .missing, statement: statement + ", more than any host has")
    }
    let more = wanted - pool.availableBytes
    if let available = host.memory.available, available < more {
      return .init(
        level: level,
        statement: statement + ", and the host has only \(HostReport.rounded(available)) available")
    }
    // The file takes the whole size of the pool, not what is added.
    let (target, overflow) = (pool.total ?? .zero).rawValue.addingReportingOverflow(
      more.rawValue / pool.size.rawValue)
    return .init(
      level: level, statement: statement,
      command: overflow ? nil : commands.write(target, to: HugePagePool(size: pool.size).path))
  }

  func sharedHugePages() -> HostAdvice.Finding {
    let path = "/sys/kernel/mm/transparent_hugepage/shmem_enabled"
    guard let mode = host.transparentHugePages.sharedMemory else {
      return .init(
        level: .couldBeBetter, statement: "the kernel has no huge pages for shared memory")
    }
    if mode.givesHugePages {
      return .init(
        level: .good, statement: "shared memory gets huge pages (shmem_enabled=\(mode.rawValue))")
    }
    return .init(
      level: .couldBeBetter,
      statement: "shared memory gets no huge pages (shmem_enabled=\(mode.rawValue))",
      command: commands.write("advise", to: path))
  }

  func locking() -> HostAdvice.Finding {
    let privileges = host.privileges
    guard let limit = privileges.memoryLockLimit, !privileges.ignoresMemoryLockLimit else {
      return .init(level: .good, statement: "memory may be locked without limit")
    }
    if privileges.mayLock(memory) {
      return .init(level: .good, statement: "\(limit) of memory may be locked")
    }
    let statement = "only \(limit) of memory may be locked (RLIMIT_MEMLOCK)"
    let command: String
    if let hard = privileges.memoryLockHardLimit, hard < memory {
      // The shell cannot raise its limit: give the program the right, or the user a limit.
      if let program {
        command = commands.asRoot("setcap cap_ipc_lock+ep \(Commands.quoted(program))")
      } else {
        let file = "/etc/security/limits.d/holdfast.conf"
        command = commands.write("\"$USER - memlock unlimited\"", to: file)
      }
    } else {
      let hard = privileges.memoryLockHardLimit.map { "\($0.rawValue / 1024)" }
      command = "ulimit -l " + (hard ?? "unlimited")
    }
    return .init(level: .missing, statement: statement, command: command)
  }

  func userFault() -> HostAdvice.Finding {
    let answer = host.userFault
    guard let way = answer.way else {
      let problem = answer.problem ?? "userfaultfd is not to be had"
      return .init(
        level: .missing, statement: "no faults on demand: \(problem)", command: answer.remedy)
    }
    if answer.isComplete {
      return .init(level: .good, statement: "faults on demand by \(way.rawValue)")
    }
    return .init(
      level: .couldBeBetter,
      statement: "no demand paging and no forks: \(way.rawValue) lacks "
        + answer.missingFeatures.joined(separator: ", ") + ", which Linux 6.4 has")
  }

  func kvm() -> HostAdvice.Finding {
    if host.kvm.isUsable { return .init(level: .good, statement: "KVM is usable") }
    let problem = host.kvm.problem ?? "/dev/kvm is not to be had"
    return .init(level: .missing, statement: "no KVM: \(problem)", command: host.kvm.remedy)
  }

  func cgroup() -> HostAdvice.Finding? {
    guard let limit = host.cgroup.memory, limit.remaining < memory else { return nil }
    return .init(
      level: .couldBeBetter,
      statement: "memory other than hugetlb pages: \(limit.file) leaves "
        + HostReport.rounded(limit.remaining))
  }

  func mapCount() -> HostAdvice.Finding? {
    // Where physical memory is in pieces, each 2 MiB page may need a mapping of its own.
    let pieces = memory.rawValue / ByteCount.mebibytes(2).rawValue + 1024
    let wanted = max(65530, min(pieces, 1 << 30))
    guard let count = host.maximumMapCount, count < wanted else { return nil }
    return .init(
      level: .couldBeBetter,
      statement: "vm.max_map_count is \(count): fragmented memory may need \(wanted) mappings",
      command: commands.asRoot("sysctl -w vm.max_map_count=\(wanted)"))
  }

  func overcommit() -> HostAdvice.Finding? {
    guard host.overcommit == .never else { return nil }
    return .init(
      level: .couldBeBetter,
      statement: "vm.overcommit_memory is 2: memory is refused before it runs out",
      command: commands.asRoot("sysctl -w vm.overcommit_memory=0"))
  }
}
