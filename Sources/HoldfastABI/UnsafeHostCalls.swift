// swift-format-ignore-file: AlwaysUseLowerCamelCase
// The names are those of holdfast.h.

public import CHoldfast
internal import Holdfast
internal import HoldfastCore
internal import HoldfastLinux

// Cancellation tokens, and the host.

@c @implementation
public func holdfast_token_create(
  _ token: UnsafeMutablePointer<holdfast_token>!
) -> holdfast_status {
  perform { () throws(ABIError) in
    let output = try unsafe Output(token, "token")
    output.store(
      holdfast_token(id: Handles.tokens.insert(CancellationToken())))
  }
}

@c @implementation
public func holdfast_token_cancel(_ token: holdfast_token) -> holdfast_status {
  perform { () throws(ABIError) in
    try Handles.tokens.object(token.id).cancel()
  }
}

@c @implementation
public func holdfast_token_close(_ token: holdfast_token) -> holdfast_status {
  perform { () throws(ABIError) in _ = try Handles.tokens.remove(token.id) }
}

@c @implementation
public func holdfast_host_probe(
  _ host: UnsafeMutablePointer<holdfast_host>!
) -> holdfast_status {
  perform { () throws(ABIError) in
    let output = try unsafe OutputStructure(host, "host")
    let found = HostProbe().host()
    func free(_ size: ByteCount) -> UInt64 {
      found.hugePages.first { $0.size == size }?.availableBytes.rawValue ?? 0
    }
    var values = holdfast_host()
    func add(_ isThere: Bool, _ feature: Int) {
      if isThere { values.features |= UInt64(feature) }
    }
    add(found.kvm.isUsable, HOLDFAST_HOST_KVM)
    add(found.userFault.isComplete, HOLDFAST_HOST_DEMAND_PAGING)
    add(
      found.transparentHugePages.sharedMemory?.givesHugePages == true,
      HOLDFAST_HOST_SHARED_THP)
    add(
      (found.transparentHugePages.privateMemory ?? .never) != .never,
      HOLDFAST_HOST_PRIVATE_THP)
    values.available = found.availableForGuests.rawValue
    values.total = found.memory.total?.rawValue ?? 0
    values.free_2m = free(.mebibytes(2))
    values.free_1g = free(.gibibytes(1))
    values.processors = UInt64(found.parallelism)
    values.nodes = UInt64(found.memoryNodes.count)
    output.store(values)
  }
}

@c @implementation
public func holdfast_host_json(
  _ json: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>!
) -> holdfast_status {
  perform { () throws(ABIError) in
    let output = try unsafe Output(json, "json")
    try unsafe store(try HoldfastABI.json(HostProbe().host()), output)
  }
}
