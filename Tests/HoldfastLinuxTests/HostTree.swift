import Foundation
import HoldfastCore
import SystemPackage

@testable import HoldfastLinux

/// A made-up tree of the kernel's files in a temporary directory, removed at the end.
final class HostTree: Sendable {
  let root: String

  init(_ files: [String: String] = [:]) throws {
    root = FileManager.default.temporaryDirectory.path + "/holdfast-host-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
    for (path, text) in files { try write(text, to: path) }
  }

  deinit { try? FileManager.default.removeItem(atPath: root) }

  func write(_ text: String, to path: String) throws {
    let url = URL(fileURLWithPath: root + "/" + path)
    try FileManager.default.createDirectory(
      at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(text.utf8).write(to: url)
  }

  func read(_ path: String) throws -> String {
    try String(contentsOfFile: root + "/" + path, encoding: .utf8)
  }

  /// The files of a pool.
  static func pool(
    _ kibibytes: UInt64, total: Int, free: Int, reserved: Int = 0, surplus: Int = 0
  ) -> [String: String] {
    let directory = "sys/kernel/mm/hugepages/hugepages-\(kibibytes)kB/"
    return [
      directory + "nr_hugepages": "\(total)\n", directory + "free_hugepages": "\(free)\n",
      directory + "resv_hugepages": "\(reserved)\n",
      directory + "surplus_hugepages": "\(surplus)\n",
      directory + "nr_overcommit_hugepages": "0\n",
    ]
  }

  /// The files of a node; `node/online` is another matter.
  func addNode(
    _ node: Int, kibibytes: UInt64, free: UInt64, processors: String, distances: String,
    hugePages: Int = 0
  ) throws {
    let directory = "sys/devices/system/node/node\(node)/"
    try write(
      """
      Node \(node) MemTotal:  \(kibibytes) kB
      Node \(node) MemFree:   \(free) kB

      """, to: directory + "meminfo")
    try write(processors + "\n", to: directory + "cpulist")
    try write(distances + "\n", to: directory + "distance")
    let pool = directory + "hugepages/hugepages-2048kB/"
    for (name, count) in [("nr", 2 * hugePages), ("free", hugePages), ("surplus", 0)] {
      try write("\(count)\n", to: pool + "\(name)_hugepages")
    }
  }

  /// A sound host: 16 GiB, 8 GiB of 2 MiB pages free, no cgroup limits, two nodes.
  static func sound() throws -> HostTree {
    let tree = try HostTree([
      "proc/meminfo": """
      MemTotal:       16777216 kB
      MemFree:         4194304 kB
      MemAvailable:    6291456 kB
      HugePages_Total:    4096
      Hugepagesize:       2048 kB

      """,
      "proc/cpuinfo": "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: A CPU @ 2 GHz\n\n",
      "proc/self/status": "Name:\ttest\nCapEff:\t0000000000004000\n",
      "proc/self/uid_map": "         0          0 4294967295\n",
      "proc/sys/vm/max_map_count": "65530\n",
      "proc/sys/vm/overcommit_memory": "0\n",
      "sys/devices/system/cpu/online": "0-3,8\n",
      "sys/devices/system/node/online": "0-1\n",
      "sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never\n",
      "sys/kernel/mm/transparent_hugepage/shmem_enabled":
        "always within_size [advise] never deny force\n",
      "sys/kernel/mm/transparent_hugepage/hpage_pmd_size": "2097152\n",
    ])
    for (path, text) in pool(2048, total: 4100, free: 4096) { try tree.write(text, to: path) }
    for (path, text) in pool(1_048_576, total: 0, free: 0) { try tree.write(text, to: path) }
    try tree.addNode(
      0, kibibytes: 8 << 20, free: 1, processors: "0-1", distances: "10 20", hugePages: 1024)
    try tree.addNode(
      1, kibibytes: 8 << 20, free: 2, processors: "2-3,8", distances: "20 10", hugePages: 1025)
    return tree
  }
}

extension HostSystem {
  /// A kernel that permits everything, for an ordinary user.
  static let permissive = HostSystem(
    pageSize: { .kibibytes(4) }, usableProcessors: { [0, 1, 2, 8] }, effectiveUser: { 1000 },
    memoryLockLimits: { (.mebibytes(8), .mebibytes(8)) },
    userFaultFeatures: { _ in .success(0b11_0111_0011_0101) },
    kvmVersion: { _ in .success(12) }, kvmExtension: { _, _ in .success(1) },
    groupMayOpen: { _ in true })

  /// A kernel that refuses all that can be refused.
  static let refusing = HostSystem(
    pageSize: { .zero }, usableProcessors: { nil }, effectiveUser: { 1000 },
    memoryLockLimits: { (.mebibytes(8), .mebibytes(8)) },
    userFaultFeatures: { call in
      switch call {
      case .full: .failure(.notPermitted)
      case .userModeOnly: .success(1 << 10)
      case .device: .failure(.permissionDenied)
      }
    },
    kvmVersion: { _ in .failure(.permissionDenied) },
    kvmExtension: { _, _ in .failure(.permissionDenied) }, groupMayOpen: { _ in true })
}
