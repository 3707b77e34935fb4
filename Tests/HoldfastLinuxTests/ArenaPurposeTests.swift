import HoldfastCore
import HoldfastTestKit
import Testing

@testable import HoldfastLinux

/// The backing of an arena for a purpose, on simulated hosts.
struct ArenaPurposeTests {
  /// What a process may do with userfaultfd.
  enum Ability: CaseIterable {
    case complete
    case device
    /// Linux 5.19: everything but what came with 6.4.
    case old
    case userModeOnly
    case forbidden
    case notBuilt

    var isEnough: Bool { self == .complete || self == .device }

    var userFault: HostCapabilities.UserFault {
      let all: UInt64 = 0b11_0111_0011_0101
      return switch self {
      case .complete: .init(way: .systemCall, userModeOnly: true, features: all)
      case .device: .init(way: .device, userModeOnly: false, features: all)
      case .old: .init(way: .systemCall, userModeOnly: true, features: all & ~(1 << 13))
      case .userModeOnly:
        .init(
          way: nil, userModeOnly: true, features: all,
          problem: "vm.unprivileged_userfaultfd is off",
          remedy: "sudo sysctl -w vm.unprivileged_userfaultfd=1")
      case .forbidden:
        .init(way: nil, userModeOnly: false, features: 0, problem: "a filter forbids it")
      case .notBuilt: .init(way: nil, userModeOnly: false, features: 0)
      }
    }
  }

  /// A host on which there is room in every backing of `rooms`; all have base pages.
  private func host(_ ability: Ability, _ rooms: [Backing] = Backing.allCases) -> HostCapabilities {
    var host = HostProbe().host()
    host.userFault = ability.userFault
    host.memory.available = .gibibytes(64)
    host.cgroup.memory = nil
    host.hugePages = rooms.compactMap(\.hugePageSize).map { page in
      let count = PageCount(ByteCount.gibibytes(8).rawValue / page.rawValue)
      return HostCapabilities.HugePages(
        size: page, total: count, free: count, reserved: .zero, surplus: .zero, overcommit: .zero)
    }
    host.transparentHugePages.sharedMemory = rooms.contains(.thp) ? .advise : .never
    host.transparentHugePages.privateMemory = rooms.contains(.thpPrivate) ? .madvise : .never
    return host
  }

  private func choice(
    _ purpose: ArenaPurpose, _ wanted: Backing?, _ host: HostCapabilities
  ) throws(HoldfastError) -> Backing {
    try BackingChoice(size: .gibibytes(2), for: purpose, wanted: wanted, host: host).backing
  }

  @Test(arguments: ArenaPurpose.allCases, Ability.allCases)
  func `a named backing is taken, or refused where it cannot serve the purpose`(
    purpose: ArenaPurpose, ability: Ability
  ) throws {
    for backing in Backing.allCases {
      let host = host(ability)
      if purpose == .wiring || ability.isEnough && backing.hasFile {
        #expect(try choice(purpose, backing, host) == backing)
        continue
      }
      let error = try #require(throws: HoldfastError.self) { try choice(purpose, backing, host) }
      #expect(error.operation == "prepare an arena of 2 GiB for \(purpose.rawValue)")
      if ability.isEnough {
        #expect(error.code == .invalidArgument && backing == .thpPrivate)
        #expect(
          error.reason == "thp-private is private memory, which has no file to map pages from")
        #expect(error.advice == .useBacking([.hugetlb2M, .thp, .hugetlb1G, .base]))
      } else {
        try check(error, ability)
      }
    }
  }

  private func check(_ error: HoldfastError, _ ability: Ability) throws {
    #expect(error.code == .unsupported)
    switch ability {
    case .complete, .device: Issue.record("\(error)")
    case .old:
      #expect(error.reason == "the kernel's userfaultfd lacks UFFD_FEATURE_WP_UNPOPULATED")
      #expect(error.advice == .upgradeKernel("6.4"))
    case .userModeOnly:
      #expect(error.reason == "vm.unprivileged_userfaultfd is off")
      #expect(
        error.advice == .set(path: "/proc/sys/vm/unprivileged_userfaultfd", value: "1"))
    case .forbidden, .notBuilt:
      #expect(
        error.reason
          == (ability == .forbidden
            ? "a filter forbids it" : "this process may not use userfaultfd(2)"))
      #expect(error.advice == .other("permit userfaultfd(2), or wire the guests' memory"))
    }
  }

  /// The best backing for the purpose among those that have room.
  private func best(_ purpose: ArenaPurpose, _ rooms: [Backing]) -> Backing {
    let order: [Backing] =
      purpose == .wiring
      ? [.hugetlb1G, .hugetlb2M, .thp, .thpPrivate] : [.hugetlb2M, .thp, .hugetlb1G]
    return order.first(where: rooms.contains) ?? .base
  }

  @Test(arguments: ArenaPurpose.allCases, Ability.allCases)
  func `the automatic choice is the best backing that serves the purpose`(
    purpose: ArenaPurpose, ability: Ability
  ) throws {
    let several: [Backing] = [.hugetlb1G, .hugetlb2M, .thp, .thpPrivate]
    for subset in 0..<(1 << several.count) {
      let rooms = several.indices.filter { subset & 1 << $0 != 0 }.map { several[$0] }
      let host = host(ability, rooms)
      if purpose == .wiring || ability.isEnough {
        #expect(try choice(purpose, nil, host) == best(purpose, rooms), "\(rooms)")
      } else {
        let error = try #require(throws: HoldfastError.self) { try choice(purpose, nil, host) }
        try check(error, ability)
      }
    }
  }

  @Test func `an arena for a purpose that its host cannot serve is an error`() throws {
    let error = try #require(throws: HoldfastError.self) {
      try Arena(size: .mebibytes(4), for: .forking, host: host(.old))
    }
    #expect(
      error.description
        == "cannot prepare an arena of 4 MiB for forking: the kernel's userfaultfd lacks "
        + "UFFD_FEATURE_WP_UNPOPULATED; try: Linux 6.4 or newer")
    // The same arena for wiring can be made.
    #expect(try Arena(size: .mebibytes(4), backing: .base, host: host(.old)).backing == .base)
  }

  /// Linux 5.19 to 6.3 have what a probe of single features would look for.
  @Test func `the report, the arena and the window agree about each missing feature`() throws {
    let arena = try Arena(size: .mebibytes(4), backing: .base, threads: 1)
    // Without the one feature more of the other use, demand paging is complete.
    #expect(
      Set(UserFaultFeature.allCases)
        == Set(UserFaultUse.paging.features).union(UserFaultUse.failing.features))
    for feature in UserFaultUse.paging.features {
      var host = host(.complete)
      host.userFault.features &= ~feature.mask
      #expect(!host.userFault.isComplete)
      let finding = HostAdvice(host).findings.first { $0.statement.contains("no demand paging") }
      #expect(finding?.statement.contains(feature.name + ", which Linux 6.4 has") == true)
      for body in [
        { () throws in _ = try Arena(size: .mebibytes(4), for: .paging, host: host) },
        { () throws in
          _ = try PagedWindow(arena: arena, length: .mebibytes(4), host: host)
        },
      ] {
        let error = try #require(throws: HoldfastError.self) { try body() }
        #expect(error.code == .unsupported && error.advice == .upgradeKernel("6.4"))
        #expect(error.reason == "the kernel's userfaultfd lacks " + feature.name)
      }
    }
  }

  @Test(.enabled(if: HostNeeds.userFault, Comment(rawValue: HostNeeds.userFaultComment)))
  func `where private memory would be taken, an arena for forks has a file and a window`() throws {
    // The usual host: huge pages for private memory alone.
    let host = host(
      HostProbe().host().userFault.way == .device ? .device : .complete, [.thpPrivate])
    #expect(HostProbe().host().userFault.isComplete)
    for purpose in [ArenaPurpose.paging, .forking] {
      let arena = try Arena(size: .mebibytes(8), for: purpose, host: host)
      #expect(arena.backing == .base)
      let fallbacks = arena.preparation.fallbacks
      #expect(fallbacks.map { $0.prefix { $0 != ":" } } == ["hugetlb-2M", "thp", "hugetlb-1G"])
      _ = try PagedWindow(arena: arena, length: .mebibytes(8), host: host)
    }
  }
}
