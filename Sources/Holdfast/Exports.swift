// What a monitor's author gets from `import Holdfast`: units, the host, arenas, page faults and
// errors, together with this module's guest memory. The exports name types, so the VM layer itself
// (`AddressSpace`, `MemoryObject`, `FrameAllocator`) and the windows stay out; work on virtual
// memory imports HoldfastCore for them. Members and extensions of the named types come with them.

@_exported public import struct HoldfastCore.Address
@_exported public import struct HoldfastCore.AddressRange
@_exported public import enum HoldfastCore.Advice
@_exported public import enum HoldfastCore.Backing
@_exported public import struct HoldfastCore.ByteCount
@_exported public import class HoldfastCore.CancellationToken
@_exported public import struct HoldfastCore.DomainPolicy
@_exported public import enum HoldfastCore.FaultGranularity
@_exported public import struct HoldfastCore.Geometry
@_exported public import class HoldfastCore.HeldPages
@_exported public import struct HoldfastCore.HoldfastError
@_exported public import struct HoldfastCore.NodeID
@_exported public import struct HoldfastCore.PageCount
@_exported public import struct HoldfastCore.Protection
@_exported public import class HoldfastCore.WiredLimit
@_exported public import class HoldfastLinux.Arena
@_exported public import enum HoldfastLinux.ArenaPurpose
@_exported public import struct HoldfastLinux.FaultFailure
@_exported public import class HoldfastLinux.FaultHandler
@_exported public import enum HoldfastLinux.FaultResponse
@_exported public import struct HoldfastLinux.FaultStatistics
@_exported public import struct HoldfastLinux.HostAdvice
@_exported public import struct HoldfastLinux.HostCapabilities
@_exported public import struct HoldfastLinux.HostNodes
@_exported public import struct HoldfastLinux.HostProbe
@_exported public import struct HoldfastLinux.HugePagePool
@_exported public import class HoldfastLinux.HugePagePoolIncrease
@_exported public import class HoldfastLinux.Scrubber
@_exported public import struct HoldfastLinux.ZeroingChoice
@_exported public import enum HoldfastLinux.ZeroingKernel
@_exported public import class HoldfastTemplate.Template
@_exported public import struct HoldfastTemplate.TemplateAbout
@_exported public import struct HoldfastTemplate.TemplateName
@_exported public import class HoldfastTemplate.TemplateStore
@_exported public import struct HoldfastTemplate.WorkingSet

// A scoped import does not bring the operators that a type declares, only those of the standard
// library's protocols. So these are here once more; where the type's own are visible too, as in
// this package, `@_disfavoredOverload` lets them win.
extension Address {
  /// The address that lies `right` bytes above, at most the last address, 2^64 - 1.
  @_disfavoredOverload
  public static func + (left: Address, right: ByteCount) -> Address {
    left.adding(right) ?? Address(.max)
  }

  /// The address that lies `right` bytes below, at least address 0.
  @_disfavoredOverload
  public static func - (left: Address, right: ByteCount) -> Address {
    left.subtracting(right) ?? .zero
  }

  /// The distance from `right` up to `left`; 0 where `left` is lower.
  @_disfavoredOverload
  public static func - (left: Address, right: Address) -> ByteCount {
    ByteCount(left.rawValue - min(left.rawValue, right.rawValue))
  }
}
