// swift-format-ignore-file: AlwaysUseLowerCamelCase
// The names are those of holdfast.h.

public import CHoldfast
internal import Holdfast
internal import HoldfastCore
internal import HoldfastLinux

// Segments, mappings, holds and receipts.

/// A segment, and its guest, which it does not keep.
private final class SegmentHandle: Sendable {
  let segment: MemorySegment
  weak let guest: GuestMemory?

  init(_ segment: MemorySegment, of guest: GuestMemory) {
    self.segment = segment
    self.guest = guest
  }
}

/// Held pages, and their guest, which must not go before them.
private final class HoldHandle: Sendable {
  let pages: HeldPages
  let guest: GuestMemory

  init(_ pages: HeldPages, of guest: GuestMemory) {
    self.pages = pages
    self.guest = guest
  }
}

private let segments = HandleTable<SegmentHandle>(.segment)
private let holds = HandleTable<HoldHandle>(.hold)

@c @implementation
public func holdfast_segment_create(
  _ guest: holdfast_guest, _ name: UnsafePointer<CChar>!, _ size: UInt64,
  _ segment: UnsafeMutablePointer<holdfast_segment>!
) -> holdfast_status {
  perform { () throws(ABIError) in
    let output = try unsafe Output(segment, "segment")
    let name = try unsafe text(name, "name")
    let guest = try find(guest)
    let made = try lift { () throws(HoldfastError) in
      try guest.allocateSegment(name, size: ByteCount(size))
    }
    let handle = SegmentHandle(made, of: guest)
    output.store(holdfast_segment(id: segments.insert(handle)))
  }
}

@c @implementation
public func holdfast_segment_restore(
  _ guest: holdfast_guest, _ name: UnsafePointer<CChar>!, _ path: UnsafePointer<CChar>!,
  _ prefetch_threads: UInt32, _ segment: UnsafeMutablePointer<holdfast_segment>!
) -> holdfast_status {
  perform { () throws(ABIError) in
    let output = try unsafe Output(segment, "segment")
    let name = try unsafe text(name, "name")
    let path = try unsafe text(path, "path")
    let guest = try find(guest)
    let made = try lift { () throws(HoldfastError) in
      try guest.restoreSegment(
        name, from: path,
        prefetch: prefetch_threads == 0
          ? .onDemand : .prefetched(threads: Int(prefetch_threads)))
    }
    let handle = SegmentHandle(made, of: guest)
    output.store(holdfast_segment(id: segments.insert(handle)))
  }
}

@c @implementation
public func holdfast_segment_close(_ segment: holdfast_segment) -> holdfast_status {
  perform { () throws(ABIError) in
    let handle = try segments.remove(segment.id)
    guard let guest = handle.guest else { return }
    try lift { () throws(HoldfastError) in try guest.freeSegment(handle.segment) }
  }
}

@c @implementation
public func holdfast_map(
  _ guest: holdfast_guest, _ segment: holdfast_segment, _ address: UInt64, _ offset: UInt64,
  _ length: UInt64, _ protection: UInt32, _ flags: UInt32,
  _ receipt: UnsafeMutablePointer<holdfast_receipt>!
) -> holdfast_status {
  perform { () throws(ABIError) in
    let output = unsafe receipt == nil ? nil : try unsafe Output(receipt, "receipt")
    guard flags & ~1 == 0 else { throw .invalidArgument("flags has unknown bits") }
    let protection = try HoldfastABI.protection(protection, "protection")
    let guest = try find(guest)
    let handle = try segments.object(segment.id)
    let made = try lift { () throws(HoldfastError) in
      try guest.map(
        handle.segment, at: Address(address), offset: ByteCount(offset),
        length: ByteCount(length), protection: protection, options: flags == 1 ? .wired : [])
    }
    output?.store(holdfast_receipt(id: Handles.receipts.insert(made)))
  }
}

/// Calls the library for a range of a guest.
private func change(
  _ guest: holdfast_guest, _ address: UInt64, _ length: UInt64,
  _ body: (GuestMemory, AddressRange) throws(HoldfastError) -> Void
) -> holdfast_status {
  perform { () throws(ABIError) in
    let guest = try find(guest)
    let range = try range(address, length)
    try lift { () throws(HoldfastError) in try body(guest, range) }
  }
}

@c @implementation
public func holdfast_protect(
  _ guest: holdfast_guest, _ address: UInt64, _ length: UInt64, _ protection: UInt32
) -> holdfast_status {
  perform { () throws(ABIError) in
    let protection = try HoldfastABI.protection(protection, "protection")
    let guest = try find(guest)
    let range = try range(address, length)
    try lift { () throws(HoldfastError) in try guest.protect(range, protection) }
  }
}

@c @implementation
public func holdfast_wire(
  _ guest: holdfast_guest, _ address: UInt64, _ length: UInt64,
  _ receipt: UnsafeMutablePointer<holdfast_receipt>!
) -> holdfast_status {
  perform { () throws(ABIError) in
    let output = unsafe receipt == nil ? nil : try unsafe Output(receipt, "receipt")
    let guest = try find(guest)
    let range = try range(address, length)
    let made = try lift { () throws(HoldfastError) in try guest.wire(range) }
    output?.store(holdfast_receipt(id: Handles.receipts.insert(made)))
  }
}

@c @implementation
public func holdfast_unwire(
  _ guest: holdfast_guest, _ address: UInt64, _ length: UInt64
) -> holdfast_status {
  change(guest, address, length) { (guest, range) throws(HoldfastError) in
    try guest.unwire(range)
  }
}

@c @implementation
public func holdfast_unmap(
  _ guest: holdfast_guest, _ address: UInt64, _ length: UInt64
) -> holdfast_status {
  change(guest, address, length) { (guest, range) throws(HoldfastError) in
    try guest.unmap(range)
  }
}

// MARK: Holds

@c @implementation
public func holdfast_hold_pages(
  _ guest: holdfast_guest, _ address: UInt64, _ length: UInt64, _ access: UInt32,
  _ hold: UnsafeMutablePointer<holdfast_hold>!
) -> holdfast_status {
  perform { () throws(ABIError) in
    let output = try unsafe Output(hold, "hold")
    let access = try protection(access, "access")
    let guest = try find(guest)
    let range = try range(address, length)
    let pages = try lift { () throws(HoldfastError) in try guest.hold(range, for: access) }
    let handle = HoldHandle(pages, of: guest)
    output.store(holdfast_hold(id: holds.insert(handle)))
  }
}

@c @implementation
public func holdfast_hold_release(_ hold: holdfast_hold) -> holdfast_status {
  perform { () throws(ABIError) in
    try holds.remove(hold.id).pages.release()
  }
}

// MARK: Receipts

private func find(_ receipt: holdfast_receipt) throws(ABIError) -> WireReceipt {
  try Handles.receipts.object(receipt.id)
}

@c @implementation
public func holdfast_receipt_info(
  _ receipt: holdfast_receipt, _ info: UnsafeMutablePointer<holdfast_receipt_info>!
) -> holdfast_status {
  perform { () throws(ABIError) in
    let output = try unsafe OutputStructure(info, "info")
    let receipt = try find(receipt)
    var values = holdfast_receipt_info()
    values.requested = receipt.requestedBytes.rawValue
    values.resident = receipt.residentBytes.rawValue
    values.wired = receipt.wiredBytes.rawValue
    values.locked = receipt.lockedBytes.rawValue
    values.zeroed_ahead = receipt.zeroedAheadBytes.rawValue
    values.zeroed_now = receipt.zeroedNowBytes.rawValue
    values.nanoseconds = receipt.duration.nanoseconds
    output.store(values)
  }
}

@c @implementation
public func holdfast_receipt_json(
  _ receipt: holdfast_receipt, _ json: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>!
) -> holdfast_status {
  perform { () throws(ABIError) in
    let output = try unsafe Output(json, "json")
    try unsafe store(try HoldfastABI.json(try find(receipt)), output)
  }
}

@c @implementation
public func holdfast_receipt_verify(
  _ receipt: holdfast_receipt, _ verification: UnsafeMutablePointer<holdfast_verification>!
) -> holdfast_status {
  perform { () throws(ABIError) in
    let output = try unsafe OutputStructure(verification, "verification")
    let receipt = try find(receipt)
    let found = try lift { () throws(HoldfastError) in try receipt.verify() }
    var values = holdfast_verification()
    values.is_verified = found.isVerified ? 1 : 0
    values.present = found.presentBytes.rawValue
    values.resident = found.residentBytes.rawValue
    values.locked = found.lockedBytes.rawValue
    values.compared_frames = found.comparedFrames ? 1 : 0
    values.problems = UInt64(found.problems.count)
    output.store(values)
  }
}

@c @implementation
public func holdfast_receipt_verify_json(
  _ receipt: holdfast_receipt, _ json: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>!
) -> holdfast_status {
  perform { () throws(ABIError) in
    let output = try unsafe Output(json, "json")
    let receipt = try find(receipt)
    let found = try lift { () throws(HoldfastError) in try receipt.verify() }
    try unsafe store(try HoldfastABI.json(found), output)
  }
}

@c @implementation
public func holdfast_receipt_close(_ receipt: holdfast_receipt) -> holdfast_status {
  perform { () throws(ABIError) in _ = try Handles.receipts.remove(receipt.id) }
}
