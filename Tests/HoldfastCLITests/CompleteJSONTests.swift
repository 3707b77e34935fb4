import Foundation
import Holdfast
import HoldfastCore
import HoldfastLinux
import HoldfastReservoir
import HoldfastSimulation
import Testing

@testable import HoldfastCLI

/// Every key of the JSON output is there, and null where it has no value.
struct CompleteJSONTests {
  private struct Inner: Encodable {
    var value: UInt64?
  }

  /// An optional property of each kind that has an encoding of its own.
  private struct Optionals: Encodable {
    var bool: Bool?
    var string: String?
    var double: Double?
    var float: Float?
    var int: Int?
    var int8: Int8?
    var int16: Int16?
    var int32: Int32?
    var int64: Int64?
    var uint: UInt?
    var uint8: UInt8?
    var uint16: UInt16?
    var uint32: UInt32?
    var uint64: UInt64?
    var unit: ByteCount?
    var node: NodeID?
    var backing: Backing?
    var inner: Inner?
    var list: [Inner?]?
    var map: [String: Inner]?
  }

  private func object(_ value: some Encodable) throws -> [String: Any] {
    let parsed = try JSONSerialization.jsonObject(with: Data(json(value).utf8))
    return try #require(parsed as? [String: Any])
  }

  @Test func `a value without any has the keys of one with all`() throws {
    let none = Optionals()
    var all = Optionals(
      bool: true, string: "a/\u{E9}", double: 0.1, float: 0.5, int: -1, int8: -8, int16: -16,
      int32: -32, int64: .min, uint: 1, uint8: 8, uint16: 16, uint32: 32, uint64: .max,
      unit: .mebibytes(1), node: NodeID(3), backing: .thp, inner: Inner(value: 5),
      list: [Inner(value: 1)], map: ["x": Inner(value: 2)])
    let labels = Set(Mirror(reflecting: none).children.compactMap(\.label))
    #expect(try Set(object(none).keys) == labels)
    #expect(try object(none).values.allSatisfy { $0 is NSNull })
    // Where nothing is missing, the JSON is that of Foundation's encoder.
    let plain = JSONEncoder()
    plain.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    #expect(try json(all) == String(decoding: plain.encode(all), as: UTF8.self) + "\n")
    // Inside of other values too.
    all.inner = Inner()
    all.list = [nil, Inner()]
    all.map = ["x": Inner()]
    let found = try object(all)
    #expect((found["inner"] as? [String: Any])?["value"] is NSNull)
    let list = try #require(found["list"] as? [Any])
    #expect(list[0] is NSNull && (list[1] as? [String: Any])?["value"] is NSNull)
    #expect((found["map"] as? [String: [String: Any]])?["x"]?["value"] is NSNull)
  }

  /// As many keys as stored properties, whatever the host lacks.
  @Test func `the host's report has every property`() throws {
    let host = HostProbe().host()
    let keys = try object(host).keys
    #expect(keys.count == Mirror(reflecting: host).children.count, "\(keys.sorted())")
  }

  @Test func `ends of leases have the same keys`() throws {
    for end in [
      LeaseEnd.recycled(.mebibytes(2)), .replaced(.mebibytes(2)),
      .released(.mebibytes(2), reason: nil), .released(.mebibytes(2), reason: "x"),
    ] {
      #expect(try Set(object(end).keys) == ["outcome", "reason", "sizeBytes"])
    }
  }

  @Test func `the output of wire has the same keys, whatever was wired`() throws {
    func keys(_ arguments: String...) throws -> Set<String> {
      let outcome = try HoldfastProgram(
        ["wire", "-m", "4M", "--format", "json"] + arguments
      ).wait()
      #expect(outcome.status == 0, "\(outcome)")
      return KeyPaths.of(
        try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)),
        maps: ["pages", "nodes"])
    }
    let base = try keys("--backing", "base")
    #expect(base.isSuperset(of: ["lease", "reserved", "lockProblem", "nodes"]))
    for backing in ["thp", "thp-private"] { #expect(try keys("--backing", backing) == base) }
    #expect(try keys("--backing", "base", "--path", "fault") == base)
    #expect(try keys("--backing", "base", "--host-numa-node", "0") == base)
  }

  @Test func `the output of simulate has the same keys, whatever was simulated`() throws {
    func keys(_ change: (inout SimulationOptions) -> Void, both: Bool = false) throws -> Set<String>
    {
      var options = SimulationOptions(memory: .gibibytes(2), guests: 4)
      options.duration = .seconds(3600)
      change(&options)
      var simulation = Simulation(options, recordsOutcomes: both) { 0 }
      let result = simulation.run()
      let comparison = both ? BlockComparison(with: result, without: result) : nil
      let paths = KeyPaths.of(
        try object(SimulateResult(result, comparison, trace: nil)), maps: [])
      // What is null in some has no keys there.
      return paths.filter {
        !$0.hasPrefix("blockComparison.") && !$0.hasPrefix("options.sizes.")
      }
    }
    let steady = try keys { _ in }
    #expect(
      steady.isSuperset(of: [
        "options.trace", "options.guests", "options.lifetimeSeconds", "options.sizes",
        "blockComparison", "wires.superpageShare", "samples.zeroedShare", "times.fork.median",
      ]))
    #expect(try keys { $0.pattern = .bursts } == steady)
    // No wire, no fork, and no fault; all guests wired; all of a trace; none of it.
    #expect(try keys { $0.sizes = SizeMix([.init(.gibibytes(4), weight: 1)]) } == steady)
    #expect(try keys { ($0.forkShare, $0.pagedShare) = (0, 0) } == steady)
    #expect(try keys { $0.blocks = .superpage } == steady)
    for trace in [[], [TraceGuest(created: 0, deleted: 9, memory: .mebibytes(4))]] {
      let found = try keys {
        ($0.pattern, $0.guests, $0.duration, $0.trace) = (.trace, nil, nil, trace)
      }
      #expect(found == steady)
    }
    #expect(try keys({ _ in }, both: true) == steady)
  }

  @Test func `receipts of what was not made have their keys, with null`() throws {
    struct None: Encodable {
      let write: (any Encoder) throws -> Void
      func encode(to encoder: any Encoder) throws { try write(encoder) }
    }
    let fork = try object(None(write: ForkReceipt.encodeNone))
    let snapshot = try object(None(write: SnapshotReceipt.encodeNone))
    #expect(fork.count == 5 && snapshot.count == 5)
    #expect((Array(fork.values) + Array(snapshot.values)).allSatisfy { $0 is NSNull })
    #expect(fork["forkSeconds"] != nil && snapshot["saveSeconds"] != nil)
  }
}

/// The keys of JSON, with those of the objects around them.
enum KeyPaths {
  /// - Parameter maps: keys of objects whose keys are data.
  static func of(_ value: Any, maps: Set<String>, below path: String = "") -> Set<String> {
    if let list = value as? [Any] {
      return list.reduce(into: []) { $0.formUnion(of($1, maps: maps, below: path)) }
    }
    guard let object = value as? [String: Any] else { return [] }
    return object.reduce(into: []) { paths, pair in
      paths.insert(path + pair.key)
      if !maps.contains(pair.key) {
        paths.formUnion(of(pair.value, maps: maps, below: path + pair.key + "."))
      }
    }
  }
}
