internal import HoldfastCore

/// The kernel's mappings (VMAs) of a window, without gaps from its start to its end, so that their
/// number is the one that `vm.max_map_count` limits.
///
/// The kernel joins neighbors that are alike and contiguous, whatever pages they have: neither an
/// absent page nor a write-protected one splits a mapping. It never joins mappings of hugetlb files
/// (VM_DONTEXPAND), not even the parts of one that was split.
///
/// One case is not counted: where a guest has written to anonymous memory (a fault, which is
/// reported), the kernel may give the mappings on both sides of a later one different lists of
/// pages (anon_vma), and does not join them then. Only the monitor's unmapping makes such a
/// neighbor, two mappings at most each time, and what is set aside for the process has room for
/// them.
struct WindowMappings {
  /// A mapping of the kernel.
  struct Mapping: WindowPart {
    /// In bytes from the window's start.
    var range: Range<UInt64>
    /// The offset in the arena's file less that in the window, modulo 2^64; nil for anonymous
    /// memory.
    var delta: UInt64?
    /// Whether it is registered with userfaultfd, so that a page is accessible only once it has
    /// been installed.
    var isTrapped = false
    /// Whether its faults fail instead of waiting for a handler thread, since the processors serve
    /// them; only where it is trapped.
    var isFailing = false
    /// The access that mprotect(2) allows.
    var access = Protection.readWrite
    /// Whether the kernel never joins it with another.
    fileprivate(set) var isSingle = false

    init(
      _ range: Range<UInt64>, delta: UInt64? = nil, isTrapped: Bool = false,
      isFailing: Bool = false, access: Protection
    ) {
      self.range = range
      self.delta = delta
      self.isTrapped = isTrapped
      self.isFailing = isFailing
      // The kernel sees only these: what can be executed or written can be read.
      self.access =
        access.contains(.write) ? .readWrite : access.isEmpty ? [] : .read
    }

    func continues(in next: Mapping) -> Bool {
      !isSingle && !next.isSingle && delta == next.delta && isTrapped == next.isTrapped
        && isFailing == next.isFailing && access == next.access
    }
  }

  private var parts = WindowParts<Mapping>()
  private let isHugetlb: Bool

  /// One mapping over the whole window.
  ///
  /// - Parameter isHugetlb: whether the arena's file is of hugetlb.
  init(_ whole: Mapping, isHugetlb: Bool) {
    self.isHugetlb = isHugetlb
    parts.replace(whole.range, by: whole)
  }

  /// The number of mappings.
  var count: Int { parts.count }

  /// All mappings, in ascending order.
  var all: [Mapping] { parts.all }

  /// The mapping that contains an offset, as a whole.
  func mapping(at offset: UInt64) -> Mapping {
    guard let found = parts.part(at: offset) else {
      preconditionFailure("an offset outside of the window")
    }
    return found
  }

  /// The mappings that overlap a range, clamped to it.
  func parts(of range: Range<UInt64>) -> [Mapping] { parts.parts(of: range) }

  /// Whether a part of a range is trapped.
  func traps(_ range: Range<UInt64>) -> Bool {
    let first = mapping(at: range.lowerBound)
    if first.range.upperBound >= range.upperBound { return first.isTrapped }
    return parts(of: range).contains { $0.isTrapped }
  }

  /// How many more mappings there would be after `set`.
  func added(by mapping: Mapping) -> Int { parts.added(mapping.range, by: kernel(mapping)) }

  /// Records a new mapping in place of what was in its range (mmap(2), mremap(2)).
  mutating func set(_ mapping: Mapping) { parts.replace(mapping.range, by: kernel(mapping)) }

  /// Records a change of the flags of what is mapped in a range (userfaultfd(2), mprotect(2)).
  mutating func update(_ range: Range<UInt64>, _ body: (inout Mapping) -> Void) {
    for old in parts.parts(of: range) {
      var new = old
      body(&new)
      if new != old { parts.replace(new.range, by: kernel(new)) }
    }
  }

  /// Records mprotect(2) of a range.
  mutating func protect(_ range: Range<UInt64>, _ protection: Protection) {
    let access = Mapping(range, access: protection).access
    update(range) { $0.access = access }
  }

  /// Records that nothing is accessible any more.
  ///
  /// - Parameter isOne: whether one mapping has replaced all.
  mutating func endAccess(_ isOne: Bool) {
    guard let first = all.first, let last = all.last else { return }
    let whole = first.range.lowerBound..<last.range.upperBound
    if isOne { return set(Mapping(whole, access: [])) }
    update(whole) { $0.access = [] }
  }

  private func kernel(_ mapping: Mapping) -> Mapping {
    var mapping = mapping
    mapping.isSingle = isHugetlb && mapping.delta != nil
    return mapping
  }
}
