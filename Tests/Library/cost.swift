// What cost.c does, through the API in Swift: `cost BYTES ROUNDS`.

import Holdfast
import HoldfastCore
import HoldfastLinux

let size = ByteCount(UInt64(CommandLine.arguments[1])!)
let arena = try Arena(size: size, for: .wiring)
let guest = try GuestMemory(arena: arena, limit: size)
let ram = try guest.allocateSegment("ram", size: size)
let scrubber = try Scrubber(
  memory: arena.memory,
  options: Scrubber.Options(threads: arena.preparation.threads, isPaused: true))
let range = AddressRange(start: .zero, length: size)!
let clock = ContinuousClock()
for _ in 0..<Int(CommandLine.arguments[2])! {
  let time = try clock.measure {
    _ = try guest.map(ram, at: .zero, length: size, protection: .all, options: .wired)
    try guest.unmap(range)
  }
  print(time.components.seconds * 1_000_000_000 + time.components.attoseconds / 1_000_000_000)
  scrubber.resume()
  guard scrubber.waitUntilZeroed(atMost: .seconds(60)) else { fatalError("no memory is zeroed") }
  scrubber.pause()
}
