public import HoldfastCore

/// What a host lacks for guests with a given amount of memory, and the commands that provide it.
public struct HostAdvice: Hashable, Sendable, Codable {
  /// How well the host meets a need.
  public enum Level: String, Hashable, Sendable, Codable {
    /// Fully.
    case good
    /// Partly: it works, but slower or with limits.
    case couldBeBetter = "could be better"
    /// Not at all: a part of Holdfast does not work.
    case missing
  }

  /// The result of one check.
  public struct Finding: Hashable, Sendable, Codable {
    /// How well the host meets the need.
    public var level: Level
    /// What was found, in one line without a full stop.
    public var statement: String
    /// The shell command that provides what is lacking, as the user who probed can type it. Nil if
    /// nothing is lacking, or no command helps.
    public var command: String?
  }

  /// The amount of guest memory that the findings are about.
  public let memory: ByteCount
  /// The findings in this order: huge pages, huge pages for shared memory, locking, userfaultfd,
  /// KVM, then limits that are too low.
  public let findings: [Finding]

  /// The worst level of the findings.
  public var level: Level {
    let levels = findings.map(\.level)
    if levels.contains(.missing) { return .missing }
    return levels.contains(.couldBeBetter) ? .couldBeBetter : .good
  }

  /// Checks what a host offers.
  ///
  /// - Parameters:
  ///   - host: the host, as just probed.
  ///   - memory: the memory of all guests together; nil for 10 GiB, or half of the available memory
  ///     if that is less.
  ///   - program: the path of the executable for a command that grants CAP_IPC_LOCK; nil for a
  ///     command that raises the user's limit instead.
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

  /// 10 GiB, or half of the available memory if that is less, in whole 2 MiB pages.
  static func defaultMemory(_ host: HostCapabilities) -> ByteCount {
    let largest = (host.hugePages.map(\.availableBytes) + [host.availableForGuests]).max() ?? .zero
    let half = ByteCount(largest.rawValue / 2).roundedDown(to: .mebibytes(2))
    return min(.gibibytes(10), max(half, .mebibytes(2)))
  }
}

/// The checks.
private struct Adviser {
  let host: HostCapabilities
  let memory: ByteCount
  let program: String?
  var commands: Commands { Commands(user: host.privileges.effectiveUser) }

  func hugePages() -> HostAdvice.Finding {
    if let pool = host.hugePages.last(where: { $0.availableBytes >= memory }) {
      return .init(
        level: .good,
        statement: "\(HostReport.rounded(pool.availableBytes)) free in pages of \(pool.size)"
          + (pool.unreserved < pool.available ? ", with surplus pages" : ""))
    }
    // The pool with the most free memory or, if all are empty, that of the kernel's default size.
    let fullest = host.hugePages.max { $0.availableBytes < $1.availableBytes }
    let usual = host.hugePages.first { $0.size == host.defaultHugePageSize } ?? host.hugePages.first
    guard let fullest, let usual else {
      return .init(
        level: .missing, statement: "the kernel is built without huge pages (CONFIG_HUGETLBFS)")
    }
    let pool = fullest.available == .zero ? usual : fullest
    let have =
      pool.available == .zero
      ? "no free huge pages"
      : "only \(HostReport.rounded(pool.availableBytes)) free in pages of \(pool.size)"
    let level: HostAdvice.Level = pool.available == .zero ? .missing : .couldBeBetter
    let statement = "\(have), \(memory) needed"
    if let limit = pool.cgroup, limit.remaining < memory {
      // No size of the pool helps.
      return .init(level: level, statement: statement + "; \(limit.words)")
    }
    guard let wanted = memory.roundedUp(to: pool.size) else {
      return .init(level: .missing, statement: statement + ", which exceeds every host")
    }
    let more = wanted - pool.availableBytes
    if let available = host.memory.available, available < more {
      return .init(
        level: level,
        statement: statement + "; only \(HostReport.rounded(available)) available to make more")
    }
    // The file takes the size of the whole pool, not the increase.
    let (target, overflow) = (pool.total ?? .zero).rawValue.addingReportingOverflow(
      more.rawValue / pool.size.rawValue)
    return .init(
      level: level, statement: statement,
      command: overflow ? nil : commands.write(target, to: HugePagePool(size: pool.size).path))
  }

  func sharedHugePages() -> HostAdvice.Finding {
    guard let mode = host.transparentHugePages.sharedMemory else {
      return .init(
        level: .couldBeBetter,
        statement: "the kernel is built without transparent huge pages for shared memory")
    }
    if let problem = host.transparentHugePages.processProblem {
      return .init(level: .couldBeBetter, statement: problem)
    }
    if mode.givesHugePages {
      return .init(
        level: .good,
        statement: "transparent huge pages for shared memory (shmem_enabled=\(mode.rawValue))")
    }
    return .init(
      level: .couldBeBetter,
      statement: "no transparent huge pages for shared memory (shmem_enabled=\(mode.rawValue))",
      command: commands.write("advise", to: host.transparentHugePages.sharedMemoryPath))
  }

  func locking() -> HostAdvice.Finding {
    let privileges = host.privileges
    guard let limit = privileges.memoryLockLimit, !privileges.ignoresMemoryLockLimit else {
      return .init(level: .good, statement: "this process may lock memory without limit")
    }
    if privileges.mayLock(memory) {
      return .init(level: .good, statement: "this process may lock \(limit) of memory")
    }
    let statement = "this process may lock only \(limit) of memory (RLIMIT_MEMLOCK)"
    let command: String
    if let hard = privileges.memoryLockHardLimit, hard < memory {
      // The hard limit is too low for ulimit: grant the program the capability, or the user a
      // limit.
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
      let problem = answer.problem ?? "this process may not use userfaultfd(2)"
      return .init(
        level: .missing, statement: "no demand paging and no forks: \(problem)",
        command: answer.remedy)
    }
    if answer.isComplete {
      return .init(level: .good, statement: "demand paging and forks (\(way.rawValue))")
    }
    return .init(
      level: .couldBeBetter,
      statement: "no demand paging and no forks: \(way.rawValue) lacks "
        + answer.missing(for: .paging).map(\.name).joined(separator: ", ")
        + ", which Linux \(UserFaultUse.paging.kernel) has")
  }

  func kvm() -> HostAdvice.Finding {
    if host.kvm.isUsable { return .init(level: .good, statement: "KVM guests (/dev/kvm)") }
    let problem = host.kvm.problem ?? "/dev/kvm cannot be used"
    return .init(level: .missing, statement: "no KVM guests: \(problem)", command: host.kvm.remedy)
  }

  func cgroup() -> HostAdvice.Finding? {
    guard let limit = host.cgroup.memory, limit.remaining < memory else { return nil }
    return .init(
      level: .couldBeBetter,
      statement:
        "only \(HostReport.rounded(limit.remaining)) of memory other than hugetlb left in the "
        + "cgroup (\(limit.file))")
  }

  func mapCount() -> HostAdvice.Finding? {
    // Each 2 MiB page may need a mapping of its own: in a fragmented arena, or paged in from hugetlb.
    // One guest gets half of what is not set aside (`MappingRoom`).
    let pieces = memory.rawValue / ByteCount.mebibytes(2).rawValue + 1024
    let wanted = max(65530, min(2 * pieces + 8192, 1 << 30))
    guard let count = host.maximumMapCount, count < wanted else { return nil }
    return .init(
      level: .couldBeBetter,
      statement:
        "vm.max_map_count is \(count); guests on fragmented memory or hugetlb may need \(wanted) mappings",
      command: commands.asRoot("sysctl -w vm.max_map_count=\(wanted)"))
  }

  func overcommit() -> HostAdvice.Finding? {
    guard host.overcommit == .never else { return nil }
    return .init(
      level: .couldBeBetter,
      statement: "vm.overcommit_memory is 2; the kernel may refuse memory that is available",
      command: commands.asRoot("sysctl -w vm.overcommit_memory=0"))
  }
}
