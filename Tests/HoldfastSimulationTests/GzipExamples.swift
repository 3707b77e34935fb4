import Foundation

/// Small traces as zlib compresses them, with each of the kinds of blocks of DEFLATE.
enum GzipExamples {
  /// The lines of `fixed` and `dynamic`.
  static let text = (0..<40).map { number in
    "vm\(number),s,d,\(number * 300),\(number * 300 + 6000),50,10,40,Unknown,2,\(1 + number % 4)\n"
  }.joined()

  static let fixed = bytes(
    "H4sIAAAAAAACAyvLNdAp1knRMdAxMzAw0DE10DE00DEx0AnNy87LL8/TMdIx5CrLNQSrMQYqMDPGrsoIqMoIrM"
      + "oMpMoMuypjoCpjsCpLkCpL7KpMgKpMwKoMjYAqzI1wO8wUoswUpMwUt8vMIMosQMoscDvNHKzMyBCowsIQt9ss"
      + "IMpMQMpMcLvNEqLMHKTMHLfbDA1ggWsAChWcjjOERgIoAiyNcbvOEBINxqAosDTDE6eQiDAGRYKlJR73QaLCBB"
      + "QLhgZGeBwIiQwTU7BCUzwuhESHiQVYoQUeJ0IixBQUF4aGhnjcCIkSUxOwQhM8boREiqk5WKE5bjcaGcASswE4"
      + "FeJ0oxEkWsD5wtAIX+6AZg8zsEI8GcQIEjHg3GFohCePGEFiBpw/DI3x5BIjSMyAc4ihMZ58YgSJGXAeMTTGk1"
      + "OMIDEDziWGJnjyihEkZsD5xNAET24xgsQMOKcYmuDJL8YGsALEAJzxcRc0kJgB5xVDUzw5xhgSM+DMYmiKJ8sY"
      + "Q8sucMyY4skzxtDiC5xdDM3wZBpjaAkGzi+GZnhyjTG0EANnGEMzPNnGGBI5kBxjaI4n3xhbQFWCo8ccT8Yxto"
      + "SqBMePOc6cAwDnrUX4UAYAAA==")
  static let dynamic = bytes(
    "H4sIAAAAAAACA32Uu21EMQwEc9eigEtSv0LcgTPjngMD5/b9tNRlJ+YTLDQaPh9SfstXkdJEpFQpkOJSPq/v6+"
      + "fvKlrw8XyAjN1As/eU3pSSaotq7ym7KSM1FzXfU35TTgp6E13Pw2pgdWH1vKwFNhY2ztM6McVNDJy3jcB8YX7e"
      + "NgPrC+vnbZDX48p6leM4bAlLwLTzOoQGWwpmS5yGCFsS5kz2hQpfFiCaDAwZXgnWZGHo8EFwJBNDSF0uACQbQ0"
      + "l1gp5sDCm1E+znjSqvzyz8hceNGlrYBTSrY+fRCCaBaIhhHdCkEQ0z7AOWVKJhhoXAkk40zLARWFKKhhlWAk9a"
      + "0TDDTuBJLRpmWAo86cXkdUCE4Z8PTZhhK6hJMRZmGAtqkozt20UzNWnG9vliLmhJNLYvGHtBS6qxfcQYDFqSjY"
      + "WcKAY96cbGJqmnJ+HY3CT99GM5/+etRfhQBgAA")
  /// The first 200 bytes of the text.
  static let stored = bytes(
    "H4sIAAAAAAAEAwHIADf/dm0wLHMsZCwwLDYwMDAsNTAsMTAsNDAsVW5rbm93biwyLDEKdm0xLHMsZCwzMDAsNj"
      + "MwMCw1MCwxMCw0MCxVbmtub3duLDIsMgp2bTIscyxkLDYwMCw2NjAwLDUwLDEwLDQwLFVua25vd24sMiwzCnZt"
      + "MyxzLGQsOTAwLDY5MDAsNTAsMTAsNDAsVW5rbm93biwyLDQKdm00LHMsZCwxMjAwLDcyMDAsNTAsMTAsNDAsVW"
      + "5rbm93biwyLDEKdm01LHMsZCwxNTCG2ociyAAAAA==")

  private static func bytes(_ text: String) -> [UInt8] {
    Array(Data(base64Encoded: text) ?? Data())
  }
}
