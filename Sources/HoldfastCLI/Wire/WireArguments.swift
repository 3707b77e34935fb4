internal import ArgumentParser
internal import Holdfast
internal import HoldfastCore
internal import HoldfastLinux

/// What `--backing` takes.
enum BackingOption: String, CaseIterable, ExpressibleByArgument {
  case auto
  case hugetlb1G = "hugetlb-1G"
  case hugetlb2M = "hugetlb-2M"
  case thp
  case thpPrivate = "thp-private"
  case base

  /// The arena's argument: nil for the best that there is.
  var backing: Backing? { Backing(rawValue: rawValue) }

  /// Reads a name in any case, for `hugetlb-2m` means what it says.
  init?(argument: String) {
    guard
      let match = Self.allCases.first(where: { $0.rawValue.lowercased() == argument.lowercased() })
    else { return nil }
    self = match
  }
}

/// What `--host-numa-policy` takes.
enum HostNUMAPolicy: String, CaseIterable, ExpressibleByArgument {
  case bind
  case preferred
  case interleave

  /// How strictly memory comes from the nodes.
  var ofNodes: HostNodes.Policy { self == .preferred ? .preferred : .bind }
}

extension GuestMemory.WirePath: ExpressibleByArgument {}
