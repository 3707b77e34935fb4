internal import CHoldfastBench
internal import Holdfast
public import HoldfastCore
internal import HoldfastLinux

/// The memory that clones of a guest take, each of which writes to a part of it.
public struct CloneMemory: Sendable {
  /// The backing.
  public let backing: String
  /// The memory of the original.
  public let memory: ByteCount
  /// The number of clones.
  public let clones: Int
  /// The bytes of the pages of 4 KiB to which each clone writes.
  public let written: ByteCount
  /// The bytes that the clones have copied together; nil if it was not measured.
  public internal(set) var copied: ByteCount?
  /// Why it was not measured, or nil.
  public internal(set) var problem: String?

  /// The bytes that as many separate guests would take.
  public var separate: ByteCount { ByteCount(memory.rawValue * UInt64(clones)) }

  private static let clones = 4

  /// Forks a guest of 256 MiB four times; each clone writes to 64 pages, which are spread evenly over
  /// an eighth of its memory, as programs that start again write to their own heaps.
  static func measure(_ memory: BenchmarkMemory, _ backing: Backing) -> CloneMemory {
    let size = min(ByteCount.mebibytes(256), ByteCount(memory.size.rawValue / 2))
    let pages = size.rawValue / 8 / (512 << 10)
    var result = CloneMemory(
      backing: backing.rawValue, memory: size, clones: clones,
      written: ByteCount(pages << 12))
    do throws(HoldfastError) {
      var memory = memory
      // Room for the original, and for each clone's part of it in whole superpages.
      memory.size = ByteCount(size.rawValue * 2)
      memory.backing = backing
      let arena = try memory.makeArena()
      // What is written is copied in the pages of the backing, and no larger ones.
      let paging = DemandPaging(granularity: .basePage)
      let parent = try GuestMemory(
        arena: arena, limit: size, demandPaging: paging, host: memory.host)
      let segment = try parent.allocateSegment("ram", size: size)
      try parent.map(segment, at: .zero, options: .wired)
      try parent.unwire(AddressRange(from: .zero, to: .zero + size))
      var children: [GuestMemory] = []
      for _ in 0..<clones {
        let child = try parent.fork().child
        var seconds = [Double](repeating: 0, count: Int(pages))
        // SAFETY: it stores a number for each page, and writes to the guest's memory, which is mapped
        // as long as the guest lives.
        unsafe seconds.withUnsafeMutableBufferPointer {
          unsafe hf_bench_touch_each(
            child.hostAddress, Int(pages) * (512 << 10), 512 << 10, $0.baseAddress)
        }
        children.append(child)
      }
      result.copied = children.reduce(.zero) { sum, child in
        let (resident, shared) = child.residency(in: AddressRange(from: .zero, to: .zero + size))
        return sum + (resident - min(resident, shared))
      }
    } catch {
      result.problem = error.description
    }
    return result
  }
}

extension CloneMemory: Encodable {
  private enum Key: String, CodingKey {
    case backing, memoryBytes, clones, writtenBytes, copiedBytes, separateBytes, problem
  }

  /// Writes all keys; what is missing is null.
  public func encode(to encoder: any Encoder) throws {
    var object = encoder.container(keyedBy: Key.self)
    try object.encode(backing, forKey: .backing)
    try object.encode(memory.rawValue, forKey: .memoryBytes)
    try object.encode(clones, forKey: .clones)
    try object.encode(written.rawValue, forKey: .writtenBytes)
    try object.encode(copied?.rawValue, forKey: .copiedBytes)
    try object.encode(separate.rawValue, forKey: .separateBytes)
    try object.encode(problem, forKey: .problem)
  }
}
