import Foundation
import Glibc
import HoldfastCore
import HoldfastReservoir
import HoldfastTestKit
import Testing

/// A folder for a reservoir, on tmpfs or a separate hugetlbfs, removed with the object.
final class Place: Sendable {
  let path: String
  private let isMounted: Bool

  /// On tmpfs, for any user.
  init() throws {
    path = "/dev/shm/holdfast-test-\(UUID())"
    isMounted = false
    try #require(mkdir(path, 0o755) == 0)
  }

  /// A mount with a size limit, whose use is counted exactly. Needs root.
  init(fileSystem: String, size: ByteCount) throws {
    path = "/tmp/holdfast-test-\(UUID())"
    isMounted = true
    try #require(mkdir(path, 0o755) == 0)
    let pages = fileSystem == "hugetlbfs" ? ",pagesize=2M" : ""
    let status = mount(
      "holdfast-test", path, fileSystem, 0, "size=\(size.rawValue),mode=0755\(pages)")
    try #require(status == 0, "\(fileSystem) cannot be mounted: \(errno)")
  }

  deinit {
    if isMounted { umount2(path, Int32(MNT_DETACH)) }
    try? FileManager.default.removeItem(atPath: path)
  }

  /// A reservoir with one file of each size.
  func reservoir(_ sizes: ByteCount..., group: UInt32? = nil) throws -> Reservoir {
    let reservoir = try Reservoir.create(mount: path, group: group)
    if !sizes.isEmpty { _ = try reservoir.fill(sizes) }
    return reservoir
  }

  func file(_ name: String) -> String { path + "/holdfast/" + name }

  func names(_ folder: String) -> [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: file(folder))) ?? []).sorted()
  }

  /// The used bytes of the mount.
  var used: ByteCount {
    var status = statvfs()
    guard statvfs(path, &status) == 0 else { return .zero }
    return ByteCount(UInt64(status.f_frsize) * UInt64(status.f_blocks - status.f_bfree))
  }
}

extension Reservoir {
  @discardableResult
  func fill(_ sizes: [ByteCount]) throws -> FillReport {
    try fill(FillPlan(sizes.map { FillPlan.Part(count: 1, size: $0) }, isAddition: true))
  }

  func lease(_ size: ByteCount, _ name: String) throws -> Lease {
    try lease(LeaseRequest(size: size, name: LeaseName(name)))
  }

  func held(_ size: ByteCount, _ name: String) throws -> Lease {
    var request = LeaseRequest(size: size, name: try LeaseName(name))
    request.isHeld = true
    return try lease(request)
  }

  func counts() throws -> [String] {
    try status().rows.map {
      "\($0.size.shortDescription) \($0.ready) \($0.leased) \($0.filling)"
    }
  }
}

/// A file's memory, mapped as by a monitor.
final class Mapping {
  let start: UnsafeMutableRawPointer
  let length: Int

  init(_ path: String) throws {
    let file = open(path, O_RDWR | O_CLOEXEC)
    try #require(file >= 0, "\(path): \(errno)")
    defer { close(file) }
    var status = stat()
    try #require(fstat(file, &status) == 0)
    length = Int(status.st_size)
    let start = mmap(nil, length, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0)
    try #require(start != MAP_FAILED, "\(path): \(errno)")
    self.start = try #require(start)
  }

  deinit { munmap(start, length) }

  func dirty() { memset(start, 0xA5, length) }

  var isZero: Bool {
    length == 0
      || start.load(as: UInt8.self) == 0 && memcmp(start, start + 1, length - 1) == 0
  }
}

/// The code of the reservoir's error that a body throws.
func code(_ body: () throws -> Void) -> HoldfastError.Code? {
  do {
    try body()
    return nil
  } catch {
    return (error as? HoldfastError)?.code
  }
}

/// Runs two bodies concurrently and returns the first error.
func both(
  _ first: @escaping @Sendable () throws -> Void, and second: @escaping @Sendable () throws -> Void
) -> (any Error)? {
  inParallel(2) { number in try number == 0 ? first() : second() }.compactMap { $0 }.first
}

/// Runs a body on a number of threads and returns their errors.
func inParallel(
  _ count: Int, _ body: @escaping @Sendable (Int) throws -> Void
) -> [(any Error)?] {
  let errors = Errors(count)
  let threads = (0..<count).map { number in
    let thread = Thread {
      do { try body(number) } catch { errors.set(number, error) }
      errors.finish()
    }
    thread.start()
    return thread
  }
  errors.wait()
  return withExtendedLifetime(threads) { errors.all }
}

private final class Errors: @unchecked Sendable {
  private let condition = NSCondition()
  private var left: Int
  private(set) var all: [(any Error)?]

  init(_ count: Int) {
    left = count
    all = Array(repeating: nil, count: count)
  }

  func set(_ number: Int, _ error: any Error) { condition.withLock { all[number] = error } }

  func finish() {
    condition.withLock {
      left -= 1
      condition.signal()
    }
  }

  func wait() {
    condition.withLock { while left > 0 { condition.wait() } }
  }
}
