internal import HoldfastCore

// The JSON of a simulation's figures: bytes and seconds are numbers, shares are from 0 to 1.

extension SimulationFigures.Wires: Encodable {
  private enum Key: String, CodingKey {
    case count, bytes, bytesByPageSize, superpageShare, zeroedShare
  }

  /// Encodes the bytes by the size in bytes of the pages that hold them. Without wires, the shares
  /// are null.
  package func encode(to encoder: any Encoder) throws {
    var object = encoder.container(keyedBy: Key.self)
    try object.encode(count, forKey: .count)
    try object.encode(bytes, forKey: .bytes)
    let sizes = bytesByLevel.enumerated().map {
      ("\(Geometry.small.size(ofLevel: $0.offset).rawValue)", $0.element)
    }
    try object.encode(Dictionary(uniqueKeysWithValues: sizes), forKey: .bytesByPageSize)
    try object.encode(superpageShare, forKey: .superpageShare)
    try object.encode(zeroedShare, forKey: .zeroedShare)
  }
}

extension SimulationFigures.Sample: Encodable {
  private enum Key: String, CodingKey {
    case seconds, guests, usedBytes, zeroedBytes, below2MiB, below1GiB
    case superpageShare, largestShare, zeroedShare, metadataBytes
  }

  /// Encodes the sample, with the total of its metadata.
  package func encode(to encoder: any Encoder) throws {
    var object = encoder.container(keyedBy: Key.self)
    try object.encode(time, forKey: .seconds)
    try object.encode(guests, forKey: .guests)
    try object.encode(used, forKey: .usedBytes)
    try object.encode(zeroed, forKey: .zeroedBytes)
    try object.encode(superpageFragmentation, forKey: .below2MiB)
    try object.encode(largestFragmentation, forKey: .below1GiB)
    try object.encode(superpageShare, forKey: .superpageShare)
    try object.encode(largestShare, forKey: .largestShare)
    try object.encode(zeroedShare, forKey: .zeroedShare)
    try object.encode(metadata.total, forKey: .metadataBytes)
  }
}

extension OperationTimes: Encodable {
  private enum Key: String, CodingKey {
    case count, total, mean, median, p99, longest
  }

  /// Encodes the times in seconds. Without operations, all but `count` and `total` are null.
  package func encode(to encoder: any Encoder) throws {
    func seconds(_ nanoseconds: UInt64?) -> Double? { nanoseconds.map { Double($0) / 1e9 } }
    var object = encoder.container(keyedBy: Key.self)
    try object.encode(count, forKey: .count)
    try object.encode(seconds(total), forKey: .total)
    try object.encode(mean.map { $0 / 1e9 }, forKey: .mean)
    try object.encode(seconds(quantile(0.5)), forKey: .median)
    try object.encode(seconds(quantile(0.99)), forKey: .p99)
    try object.encode(count == 0 ? nil : seconds(longest), forKey: .longest)
  }
}
