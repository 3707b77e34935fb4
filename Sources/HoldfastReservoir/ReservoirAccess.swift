internal import Glibc
public import HoldfastCore
internal import HoldfastLinux
internal import SystemPackage

/// A reservoir as the calling user may use it: its owner and root by its folders, others by its
/// service.
public enum ReservoirAccess: Sendable {
  /// The caller is the owner or root.
  case folders(Reservoir)
  /// The caller leases from the service.
  case service(ReservoirClient)

  /// Finds the reservoir on a mount.
  ///
  /// - Parameters:
  ///   - mount: the mount point, or for tests a folder on tmpfs; nil for the host's only reservoir,
  ///     or, where this process sees none, the service at ``ReservoirClient/defaultSocketPath``.
  ///   - socket: the path of the service's socket, which is then used, also by root; nil to decide
  ///     by the owner.
  /// - Throws: ``HoldfastError`` with the code `noReservoir`, `untrusted` or `host`.
  public init(mount: String? = nil, socket: String? = nil) throws(HoldfastError) {
    if let socket {
      self = .service(ReservoirClient(socket: socket))
      return
    }
    let found = mount == nil ? ReservoirMounts.reservoirs() : []
    if mount == nil, found.isEmpty,
      (try? Folder.open(path: "/run/holdfast").status("reservoir.sock")) != nil
    {
      self = .service(ReservoirClient(socket: ReservoirClient.defaultSocketPath))
      return
    }
    let path = if let mount { mount } else { try ReservoirMounts.only(of: found) }
    let caller = geteuid()
    let owner = try? Folder.open(path: path).status(Reservoir.folderName).owner
    // Where there is no reservoir, opening it says so.
    if caller == 0 || owner == nil || owner == caller {
      self = .folders(try Reservoir(mount: path))
    } else {
      self = .service(try ReservoirClient(mount: path))
    }
  }

  /// The reservoir's folders, or nil for other users.
  public var reservoir: Reservoir? {
    if case .folders(let reservoir) = self { reservoir } else { nil }
  }

  /// Leases memory: ``Reservoir/lease(_:cancellation:)`` or
  /// ``ReservoirClient/lease(_:cancellation:)``.
  public func lease(
    _ request: LeaseRequest, cancellation: CancellationToken = CancellationToken()
  ) throws(HoldfastError) -> Lease {
    switch self {
    case .folders(let reservoir): try reservoir.lease(request, cancellation: cancellation)
    case .service(let client): try client.lease(request, cancellation: cancellation)
    }
  }

  /// Returns the memory of a lease of the calling user to the host: ``Reservoir/release(_:user:)``
  /// or ``ReservoirClient/release(_:)``.
  public func release(_ name: LeaseName) throws(HoldfastError) -> LeaseEnd {
    switch self {
    case .folders(let reservoir): try reservoir.release(name)
    case .service(let client): try client.release(name)
    }
  }

  /// Counts the files: ``Reservoir/status()`` or ``ReservoirClient/status()``.
  public func status() throws(HoldfastError) -> ReservoirStatus {
    switch self {
    case .folders(let reservoir): try reservoir.status()
    case .service(let client): try client.status()
    }
  }
}
