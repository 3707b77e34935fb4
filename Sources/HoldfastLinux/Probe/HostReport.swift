public import HoldfastCore

/// The text of `holdfast host`: what a host offers, for people.
public enum HostReport {
  private static func kvm(_ kvm: HostCapabilities.KVM) -> String {
    guard let version = kvm.version else { return kvm.problem ?? unknown }
    let preFaults = kvm.preFaults.map {
      $0 ? ", can pre-fault memory" : ", cannot pre-fault memory"
    }
    return "API version \(version)" + (preFaults ?? "")
  }

  /// All facts about a host and the findings of the advice, in aligned lines that end in a newline.
  ///
  /// - Parameters:
  ///   - advice: nil for that about the default amount of memory.
  ///   - zeroing: nil to leave out how memory is zeroed.
  public static func text(
    _ host: HostCapabilities, advice: HostAdvice? = nil, zeroing: ZeroingChoice? = nil
  ) -> String {
    var facts: [(label: String, lines: [String])] = [
      ("processors", [processors(host)]),
      ("memory", [memory(host.memory)]),
      ("for guests", [rounded(host.availableForGuests)]),
      ("cgroup", [cgroup(host.cgroup)]),
      ("base page", [host.pageSize?.description ?? unknown]),
      ("huge pages", host.hugePages.isEmpty ? ["none"] : host.hugePages.map(hugePages)),
      ("transparent", [transparent(host.transparentHugePages)]),
      ("userfaultfd", userFault(host.userFault)),
      ("KVM", [kvm(host.kvm)]),
      ("locking", [locking(host.privileges)]),
      ("NUMA nodes", host.nodes.isEmpty ? [unknown] : host.nodes.map { node($0, of: host) }),
      (
        "limits",
        [
          "\(host.maximumMapCount.map { "\($0)" } ?? unknown) mappings per process, overcommit "
            + (host.overcommit?.rawValue ?? unknown)
        ]
      ),
      ("user", [host.privileges.effectiveUser == 0 ? "root" : "\(host.privileges.effectiveUser)"]),
    ]
    if let zeroing { facts.insert(("zeroing", self.zeroing(zeroing)), at: 3) }
    let advice = advice ?? HostAdvice(host)
    return aligned(facts) + "\nFor \(advice.memory) of guest memory:\n"
      + aligned(
        advice.findings.map { finding in
          let command = finding.command.map { ["$ " + $0] } ?? []
          return (finding.level.rawValue, [finding.statement] + command)
        })
  }

  /// A number of bytes in the largest binary unit that it reaches, with one decimal, rounded down:
  /// `22.9 GiB`.
  public static func rounded(_ bytes: ByteCount) -> String {
    for (shift, unit) in [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")] as [(UInt64, String)]
    where bytes.rawValue >> shift != 0 {
      let tenths = ((bytes.rawValue & ((1 << shift) - 1)) * 10) >> shift
      return "\(bytes.rawValue >> shift)" + (tenths == 0 ? " " : ".\(tenths) ") + unit
    }
    return "\(bytes.rawValue) bytes"
  }

  private static let unknown = "unknown"

  private static func aligned(_ rows: [(label: String, lines: [String])]) -> String {
    let width = rows.map(\.label.count).max() ?? 0
    return rows.map { row in
      row.lines.enumerated().map { index, line in
        let label = index == 0 ? row.label : ""
        return label + String(repeating: " ", count: width - label.count + 2) + line + "\n"
      }.joined()
    }.joined()
  }

  private static func size(_ bytes: ByteCount?) -> String { bytes.map(rounded) ?? unknown }

  private static func count(_ pages: PageCount?) -> String {
    pages.map { "\($0.rawValue)" } ?? unknown
  }

  private static func processors(_ host: HostCapabilities) -> String {
    let processors = host.processors
    let quota = host.cgroup.processors.map { quota in
      let hundredths = quota.isNaN ? 0 : Int(max(0, min(quota, 1e6)) * 100)
      let digits = "\(hundredths % 100)"
      return ", limited to \(hundredths / 100)." + (digits.count == 1 ? "0" : "") + digits
    }
    return (processors.model ?? "unknown model")
      + ", \(processors.usable.map { "\($0)" } ?? unknown) usable of "
      + "\(processors.online.map { "\($0)" } ?? unknown) online" + (quota ?? "")
  }

  private static func memory(_ memory: HostCapabilities.Memory) -> String {
    "\(size(memory.total)), \(size(memory.available)) available"
  }

  private static func cgroup(_ cgroup: HostCapabilities.Cgroup) -> String {
    guard let limit = cgroup.memory else { return "no memory limit" }
    return "\(rounded(limit.remaining)) left of \(rounded(limit.limit)) (\(limit.file))"
  }

  private static func hugePages(_ pages: HostCapabilities.HugePages) -> String {
    let cgroup = pages.cgroup.map { ", \($0.words)" }
    let surplus =
      (pages.surplusRoom ?? .zero) == .zero
      ? "" : " (\(count(pages.surplusRoom)) can be added)"
    return "\(pages.size): \(count(pages.total)) in the pool, \(count(pages.free)) free, "
      + "\(count(pages.reserved)) reserved, \(count(pages.surplus)) surplus, "
      + "overcommit \(count(pages.overcommit))" + surplus + (cgroup ?? "")
  }

  private static func transparent(_ pages: HostCapabilities.TransparentHugePages) -> String {
    "\(size(pages.size)), private memory \(pages.privateMemory?.rawValue ?? unknown), "
      + "shared memory \(pages.sharedMemory?.rawValue ?? unknown)"
      + (pages.processProblem == nil ? "" : ", disabled for this process (PR_SET_THP_DISABLE)")
  }

  private static func userFault(_ answer: HostCapabilities.UserFault) -> [String] {
    func has(_ name: String, _ present: Bool) -> String { (present ? "" : "no ") + name }
    let way =
      answer.way.map { "\($0.rawValue), faults of the kernel included" }
      ?? (answer.userModeOnly ? "only for faults in user mode" : "not permitted")
    guard answer.way != nil || answer.userModeOnly else { return [answer.problem ?? way] }
    return [
      way,
      [
        has("minor faults on shared memory", answer.minorOnShared),
        has("minor faults on hugetlb", answer.minorOnHugePages),
        has("write protection of both", answer.writeProtectionOnShared),
        has("demand paging", answer.isComplete),
      ].joined(separator: ", "),
    ]
  }

  private static func locking(_ privileges: HostCapabilities.Privileges) -> String {
    let limit = privileges.memoryLockLimit.map { "RLIMIT_MEMLOCK \(rounded($0))" } ?? "no limit"
    return limit
      + (privileges.ignoresMemoryLockLimit
        ? ", which does not apply to a process with CAP_IPC_LOCK" : "")
  }

  private static func zeroing(_ choice: ZeroingChoice) -> [String] {
    let threads = choice.threads == 1 ? "1 thread" : "\(choice.threads) threads"
    let reason =
      switch choice.origin {
      case .measured: "the fastest measured with \(threads)"
      case .environment: "set by \(ZeroingChoice.variable)"
      case .unmeasured: "not measured"
      }
    let speeds = choice.speeds.map { speed in
      "\(speed.kernel.rawValue) \(rounded(bytes(speed.bytesPerSecond)))/s"
    }
    return ["\(choice.kernel.rawValue), \(reason)"]
      + (speeds.isEmpty ? [] : [speeds.joined(separator: ", ")])
  }

  /// A node, with its distances if there are others.
  private static func node(_ node: HostCapabilities.Node, of host: HostCapabilities) -> String {
    var parts: [String] = []
    if (node.total ?? .zero) > .zero || node.total == nil {
      parts.append("\(size(node.total)), \(size(node.free)) free")
      parts += node.hugePages.map {
        "\($0.free.rawValue) free \($0.free == .one ? "page" : "pages") of \($0.size)"
      }
    } else {
      parts.append("no memory")
    }
    parts.append(
      node.processors.isEmpty
        ? "no processors" : "processors " + HostReport.list(node.processors))
    if !node.processors.isEmpty, node.usableProcessors.count < node.processors.count {
      parts.append(
        node.usableProcessors.isEmpty
          ? "none usable" : "usable " + HostReport.list(node.usableProcessors))
    }
    if host.nodes.count > 1, !node.distances.isEmpty {
      parts.append("distances " + node.distances.map { "\($0)" }.joined(separator: " "))
    }
    if !node.isAllowed { parts.append("excluded by the cpuset") }
    return "\(node.id): " + parts.joined(separator: ", ")
  }

  /// Ascending numbers in the kernel's notation: `0-3,8`.
  /// A number of bytes that was measured, or decoded, and may be anything.
  private static func bytes(_ count: Double) -> ByteCount {
    count.isNaN ? .zero : ByteCount(UInt64(max(0, min(count, 1e18))))
  }

  static func list(_ numbers: [UInt32]) -> String {
    var ranges: [ClosedRange<UInt32>] = []
    for number in numbers {
      if let last = ranges.last, last.upperBound < number, last.upperBound + 1 == number {
        ranges[ranges.count - 1] = last.lowerBound...number
      } else {
        ranges.append(number...number)
      }
    }
    return ranges.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }
      .joined(separator: ",")
  }
}
