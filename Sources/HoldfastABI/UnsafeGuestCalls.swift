// swift-format-ignore-file: AlwaysUseLowerCamelCase
// The names are those of holdfast.h.

public import CHoldfast
internal import Holdfast
internal import HoldfastCore
internal import HoldfastLinux

// Guests, and the bytes of their memory.

func find(_ guest: holdfast_guest) throws(ABIError) -> GuestMemory {
  try Handles.guests.object(guest.id)
}

@c @implementation
public func holdfast_guest_create(
  _ arena: holdfast_arena, _ options: UnsafePointer<holdfast_guest_options>!,
  _ guest: UnsafeMutablePointer<holdfast_guest>!
) -> holdfast_status {
  perform { () throws(ABIError) in
    let options = try unsafe load(options, holdfast_guest_options(), "options")
    let output = try unsafe Output(guest, "guest")
    let arena = try Handles.arenas.object(arena.id)
    let purpose: GuestPurpose?
    switch options.purpose {
    case 0: purpose = nil
    case 1: purpose = .mapping
    case 2: purpose = .wiring
    default: throw .invalidArgument("purpose is \(options.purpose)")
    }
    let paging = try demandPaging(options)
    let limit =
      options.wired_limit == 0 ? WiredLimit.none : WiredLimit(ByteCount(options.wired_limit))
    let made = try lift { () throws(HoldfastError) in
      try GuestMemory(
        arena: arena, limit: ByteCount(options.limit), for: purpose, wiredLimit: limit,
        demandPaging: paging)
    }
    output.store(holdfast_guest(id: Handles.guests.insert(made)))
  }
}

private func demandPaging(
  _ options: holdfast_guest_options
) throws(ABIError) -> DemandPaging? {
  guard options.granularity <= 1 else {
    throw .invalidArgument("granularity is \(options.granularity)")
  }
  guard options.failed_fault <= 1 else {
    throw .invalidArgument("failed_fault is \(options.failed_fault)")
  }
  guard options.demand_paging != 0 else { return nil }
  let isRefused = options.failed_fault == 1
  return DemandPaging(
    granularity: options.granularity == 0 ? .largePage : .basePage,
    onFailure: { _ in isRefused ? .refuse : .pause })
}

@c @implementation
public func holdfast_guest_info(
  _ guest: holdfast_guest, _ info: UnsafeMutablePointer<holdfast_guest_info>!
) -> holdfast_status {
  perform { () throws(ABIError) in
    let output = try unsafe OutputStructure(info, "info")
    let guest = try find(guest)
    var values = holdfast_guest_info()
    values.host_address = guest.hostAddress
    values.limit = guest.limit.rawValue
    values.is_direct = guest.placement == .direct ? 1 : 0
    if let statistics = guest.faultHandler?.statistics {
      values.faults = statistics.demandFaults &+ statistics.copyFaults
    }
    output.store(values)
  }
}

@c @implementation
public func holdfast_guest_retry_faults(_ guest: holdfast_guest) -> holdfast_status {
  perform { () throws(ABIError) in try find(guest).faultHandler?.retryPaused() }
}

@c @implementation
public func holdfast_guest_host_address(
  _ guest: holdfast_guest, _ address: UInt64, _ length: UInt64,
  _ pointer: UnsafeMutablePointer<UnsafeMutableRawPointer?>!
) -> holdfast_status {
  perform { () throws(ABIError) in
    let output = try unsafe Output(pointer, "pointer")
    let guest = try find(guest)
    let range = try range(address, length)
    guard range.end <= guest.addresses.end else {
      throw .failed(
        HoldfastError(
          .invalidAddress, operation: "find the host address of \(range)", range: range,
          reason: "the range ends beyond the guest's limit of \(guest.limit)"))
    }
    unsafe output.store(
      UnsafeMutableRawPointer(bitPattern: UInt(guest.hostAddress + range.start.rawValue)))
  }
}

/// The length of bytes of the caller's in an Int.
private func count(_ length: UInt64, isNull: Bool) throws(ABIError) -> Int {
  guard let count = Int(exactly: length) else {
    throw .invalidArgument("length is \(length), more than memory can have")
  }
  guard count == 0 || !isNull else { throw .invalidArgument("bytes is null") }
  return count
}

@c @implementation
public func holdfast_guest_read(
  _ guest: holdfast_guest, _ address: UInt64, _ bytes: UnsafeMutableRawPointer!,
  _ length: UInt64
) -> holdfast_status {
  perform { () throws(ABIError) in
    let count = try count(length, isNull: unsafe bytes == nil)
    let guest = try find(guest)
    if count == 0 { return }
    let buffer = unsafe UnsafeMutableRawBufferPointer(start: bytes, count: count)
    var span = unsafe buffer.mutableBytes
    do throws(HoldfastError) {
      try guest.read(Address(address), into: &span)
    } catch {
      throw .failed(error)
    }
  }
}

@c @implementation
public func holdfast_guest_write(
  _ guest: holdfast_guest, _ address: UInt64, _ bytes: UnsafeRawPointer!, _ length: UInt64
) -> holdfast_status {
  perform { () throws(ABIError) in
    let count = try count(length, isNull: unsafe bytes == nil)
    let guest = try find(guest)
    if count == 0 { return }
    let buffer = unsafe UnsafeRawBufferPointer(start: bytes, count: count)
    do throws(HoldfastError) {
      try guest.write(unsafe buffer.bytes, to: Address(address))
    } catch {
      throw .failed(error)
    }
  }
}

@c @implementation
public func holdfast_guest_close(_ guest: holdfast_guest) -> holdfast_status {
  perform { () throws(ABIError) in _ = try Handles.guests.remove(guest.id) }
}

@c @implementation
public func holdfast_residency(
  _ guest: holdfast_guest, _ address: UInt64, _ length: UInt64,
  _ residency: UnsafeMutablePointer<CHoldfast.holdfast_residency>!
) -> holdfast_status {
  perform { () throws(ABIError) in
    let output = try unsafe OutputStructure(residency, "residency")
    let (resident, shared) = try find(guest).residency(in: try range(address, length))
    var values = CHoldfast.holdfast_residency()
    values.resident = resident.rawValue
    values.shared = shared.rawValue
    output.store(values)
  }
}

/// Where information goes that the caller may not want.
private func optional<Structure>(
  _ info: UnsafeMutablePointer<Structure>?
) throws(ABIError) -> OutputStructure<Structure>? {
  if unsafe info == nil { return nil }
  return try unsafe OutputStructure(info, "info")
}

@c @implementation
public func holdfast_guest_fork(
  _ guest: holdfast_guest, _ child: UnsafeMutablePointer<holdfast_guest>!,
  _ info: UnsafeMutablePointer<holdfast_fork_info>!
) -> holdfast_status {
  perform { () throws(ABIError) in
    let output = try unsafe Output(child, "child")
    let details = try unsafe optional(info)
    let guest = try find(guest)
    let (made, receipt) = try lift { () throws(HoldfastError) in try guest.fork() }
    var values = holdfast_fork_info()
    values.resident = receipt.residentBytes.rawValue
    values.shared = receipt.sharedBytes.rawValue
    values.copied = receipt.copiedBytes.rawValue
    values.nanoseconds = receipt.duration.nanoseconds
    details?.store(values)
    output.store(holdfast_guest(id: Handles.guests.insert(made)))
  }
}

@c @implementation
public func holdfast_guest_save(
  _ guest: holdfast_guest, _ address: UInt64, _ length: UInt64, _ path: UnsafePointer<CChar>!,
  _ progress: holdfast_progress!, _ progress_context: UnsafeMutableRawPointer!,
  _ info: UnsafeMutablePointer<holdfast_snapshot_info>!
) -> holdfast_status {
  perform { () throws(ABIError) in
    let details = try unsafe optional(info)
    let path = try unsafe text(path, "path")
    let guest = try find(guest)
    let range = try range(address, length)
    let report = unsafe Progress(progress, progress_context)?.reporter
    let receipt = try lift { () throws(HoldfastError) in
      try guest.save(range, to: path, progress: report)
    }
    var values = holdfast_snapshot_info()
    values.size = receipt.bytes.rawValue
    values.written = receipt.writtenBytes.rawValue
    values.nanoseconds = receipt.duration.nanoseconds
    details?.store(values)
  }
}
