// swift-format-ignore-file: AlwaysUseLowerCamelCase
// The names are those of holdfast.h.

public import CHoldfast
internal import Glibc
internal import HoldfastCore
internal import HoldfastLinux
internal import HoldfastReservoir

// Leases of a reservoir.

private func find(_ lease: holdfast_lease) throws(ABIError) -> Lease {
  try Handles.leases.object(lease.id)
}

@c @implementation
public func holdfast_lease_create(
  _ options: UnsafePointer<holdfast_lease_options>!,
  _ lease: UnsafeMutablePointer<holdfast_lease>!
) -> holdfast_status {
  perform { () throws(ABIError) in
    let options = try unsafe load(options, holdfast_lease_options(), "options")
    let output = try unsafe Output(lease, "lease")
    let mount = try unsafe optionalText(options.mount, "mount")
    let socket = try unsafe optionalText(options.socket, "socket")
    let name = try unsafe optionalText(options.name, "name")
    let token = unsafe options.token.id
    let cancellation =
      token == 0
      ? CancellationToken()
      : try Handles.tokens.object(token)
    var request = LeaseRequest(size: ByteCount(unsafe options.size))
    request.node = try node(unsafe options.node)
    request.isExact = unsafe options.is_exact != 0
    request.grows = unsafe options.grows != 0
    request.isHeld = unsafe options.is_held != 0
    request.timeout = .nanoseconds(Int64(clamping: unsafe options.timeout_nanoseconds))
    let wanted = request
    let made = try lift { () throws(HoldfastError) in
      var request = wanted
      if let name { request.name = try LeaseName(name) }
      return try ReservoirAccess(mount: mount, socket: socket)
        .lease(request, cancellation: cancellation)
    }
    output.store(holdfast_lease(id: Handles.leases.insert(made)))
  }
}

@c @implementation
public func holdfast_lease_info(
  _ lease: holdfast_lease, _ info: UnsafeMutablePointer<CHoldfast.holdfast_lease_info>!
) -> holdfast_status {
  perform { () throws(ABIError) in
    let output = try unsafe OutputStructure(info, "info")
    let receipt = try find(lease).receipt
    var values = CHoldfast.holdfast_lease_info()
    values.size = receipt.size.rawValue
    values.page_size = receipt.pageSize.rawValue
    values.node = receipt.node.map { UInt64($0.rawValue) + 1 } ?? 0
    values.is_held = receipt.isHeld ? 1 : 0
    values.is_exclusive = receipt.isExclusive ? 1 : 0
    values.nanoseconds = Duration.bounded(seconds: receipt.seconds).nanoseconds
    output.store(values)
  }
}

@c @implementation
public func holdfast_lease_path(
  _ lease: holdfast_lease, _ path: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>!
) -> holdfast_status {
  perform { () throws(ABIError) in
    let output = try unsafe Output(path, "path")
    try unsafe store(try find(lease).receipt.path, output)
  }
}

@c @implementation
public func holdfast_lease_name(
  _ lease: holdfast_lease, _ name: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>!
) -> holdfast_status {
  perform { () throws(ABIError) in
    let output = try unsafe Output(name, "name")
    try unsafe store(try find(lease).receipt.name, output)
  }
}

@c @implementation
public func holdfast_lease_descriptor(
  _ lease: holdfast_lease, _ descriptor: UnsafeMutablePointer<Int32>!
) -> holdfast_status {
  perform { () throws(ABIError) in
    let output = try unsafe Output(descriptor, "descriptor")
    let lease = try find(lease)
    let operation = "get a descriptor of the lease '\(lease.receipt.name)'"
    guard let file = lease.openFile else {
      throw .failed(
        HoldfastError(.busy, operation: operation, reason: "an arena has adopted it"))
    }
    let copy = withExtendedLifetime(file) { fcntl(file.descriptor, F_DUPFD_CLOEXEC, 0) }
    guard copy >= 0 else {
      throw .failed(
        HoldfastError(
          .host, operation: operation, reason: "it cannot be duplicated", errno: errno))
    }
    output.store(copy)
  }
}

@c @implementation
public func holdfast_lease_adopt(
  _ lease: holdfast_lease, _ arena: UnsafeMutablePointer<holdfast_arena>!
) -> holdfast_status {
  perform { () throws(ABIError) in
    let output = try unsafe Output(arena, "arena")
    let lease = try find(lease)
    let made = try lift { () throws(HoldfastError) in try Arena(adopting: lease) }
    output.store(holdfast_arena(id: Handles.arenas.insert(made)))
  }
}

@c @implementation
public func holdfast_lease_release(
  _ mount: UnsafePointer<CChar>!, _ socket: UnsafePointer<CChar>!, _ name: UnsafePointer<CChar>!
) -> holdfast_status {
  perform { () throws(ABIError) in
    let mount = try unsafe optionalText(mount, "mount")
    let socket = try unsafe optionalText(socket, "socket")
    let name = try unsafe text(name, "name")
    try lift { () throws(HoldfastError) in
      _ = try ReservoirAccess(mount: mount, socket: socket).release(try LeaseName(name))
    }
  }
}

@c @implementation
public func holdfast_lease_close(_ lease: holdfast_lease) -> holdfast_status {
  perform { () throws(ABIError) in _ = try Handles.leases.remove(lease.id) }
}
