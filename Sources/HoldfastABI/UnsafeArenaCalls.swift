// swift-format-ignore-file: AlwaysUseLowerCamelCase
// The names are those of holdfast.h.

public import CHoldfast
internal import Holdfast
internal import HoldfastCore
internal import HoldfastLinux

// Arenas.

/// The backings by their numbers in the header; 0 is the best.
private let backings: [Backing?] = [nil, .hugetlb1G, .hugetlb2M, .thp, .thpPrivate, .base]

private func arenaPurpose(_ number: UInt32) throws(ABIError) -> ArenaPurpose {
  switch number {
  case 0: .wiring
  case 1: .paging
  case 2: .forking
  default: throw .invalidArgument("purpose is \(number)")
  }
}

@c @implementation
public func holdfast_arena_create(
  _ options: UnsafePointer<holdfast_arena_options>!,
  _ arena: UnsafeMutablePointer<holdfast_arena>!
) -> holdfast_status {
  perform { () throws(ABIError) in
    let options = try unsafe load(options, holdfast_arena_options(), "options")
    let output = try unsafe Output(arena, "arena")
    let purpose = try arenaPurpose(unsafe options.purpose)
    let backing = unsafe options.backing
    guard backing < UInt32(backings.count) else { throw .invalidArgument("backing is \(backing)") }
    let size = ByteCount(unsafe options.size)
    guard size > .zero else { throw .invalidArgument("size is 0") }
    let threads = unsafe options.threads == 0 ? nil : Int(options.threads)
    let node = try HoldfastABI.node(unsafe options.node)
    let progress = unsafe Progress(options.progress, options.progress_context)
    let report = progress?.reporter(of: size)
    let made = try lift { () throws(HoldfastError) in
      var nodes: HostNodes?
      if let node { nodes = try HostNodes([node]) }
      return try Arena(
        size: size, for: purpose, backing: backings[Int(backing)], nodes: nodes, threads: threads,
        progress: report)
    }
    output.store(holdfast_arena(id: Handles.arenas.insert(made)))
  }
}

@c @implementation
public func holdfast_arena_adopt(
  _ descriptor: Int32, _ node: UInt64, _ arena: UnsafeMutablePointer<holdfast_arena>!
) -> holdfast_status {
  perform { () throws(ABIError) in
    let output = try unsafe Output(arena, "arena")
    let node = try HoldfastABI.node(node)
    let made = try lift { () throws(HoldfastError) in
      try Arena(adoptingZeroed: descriptor, node: node)
    }
    output.store(holdfast_arena(id: Handles.arenas.insert(made)))
  }
}

private func find(_ arena: holdfast_arena) throws(ABIError) -> Arena {
  try Handles.arenas.object(arena.id)
}

@c @implementation
public func holdfast_arena_info(
  _ arena: holdfast_arena, _ info: UnsafeMutablePointer<holdfast_arena_info>!
) -> holdfast_status {
  perform { () throws(ABIError) in
    let output = try unsafe OutputStructure(info, "info")
    let arena = try find(arena)
    let occupancy = arena.allocator.occupancy
    var values = holdfast_arena_info()
    values.size = arena.size.rawValue
    values.page_size = arena.geometry.pageSize.rawValue
    values.free = arena.geometry.bytes(occupancy.free).rawValue
    values.zeroed = arena.geometry.bytes(occupancy.zeroed).rawValue
    values.locked = arena.preparation.lockedBytes.rawValue
    values.nanoseconds = arena.preparation.duration.nanoseconds
    values.backing = UInt32(backings.firstIndex(of: arena.backing) ?? 0)
    values.threads = UInt32(clamping: arena.preparation.threads)
    output.store(values)
  }
}

@c @implementation
public func holdfast_arena_scrub(_ arena: holdfast_arena) -> holdfast_status {
  perform { () throws(ABIError) in try find(arena).memory.zeroFreeFrames() }
}

@c @implementation
public func holdfast_arena_close(_ arena: holdfast_arena) -> holdfast_status {
  perform { () throws(ABIError) in _ = try Handles.arenas.remove(arena.id) }
}
