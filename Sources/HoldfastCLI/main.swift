internal import Holdfast
internal import HoldfastBench
internal import HoldfastCore
internal import HoldfastLinux

let host = HostProbe().host()
let a = CommandLine.arguments
if a[1] == "stage" {
  let arena = try Arena(size: .mebibytes(UInt64(a[2])!), backing: .hugetlb2M)
  for _ in 0..<10 {
    let clock = ContinuousClock()
    arena.memory.prepareFreeFrames(zeroed: true)
    let guest = try GuestMemory(arena: arena, limit: arena.size, host: host)
    let segment = try guest.allocateSegment("ram", size: arena.size)
    let s = clock.now
    let r = try guest.map(segment, at: .zero, options: .wired)
    let e = clock.now
    print(e - s, r.duration, r.stages)
  }
} else {
  let b = WireBenchmark(
    memory: .mebibytes(UInt64(a[1])!), runs: Int(a[3])!,
    strategies: a.count > 4
      ? a[4].split(separator: ",").map { WireStrategy(rawValue: String($0))! }
      : WireStrategy.allCases, backing: Backing(rawValue: a[2]), threads: host.parallelism,
    host: host)
  print(WireBenchmarkReport(try b.run()).text)
}
