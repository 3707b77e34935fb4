import HoldfastCore
import Testing

@testable import HoldfastCLI

struct SizeTests {
  @Test(
    arguments: [
      ("4096", 4096), ("1", 1), ("1B", 1), ("2K", 2048), ("2k", 2048), ("2KB", 2048),
      ("2KiB", 2048), ("2kib", 2048), ("512M", 512 << 20), ("2MiB", 2 << 20), ("10G", 10 << 30),
      ("10 GiB", 10 << 30), ("1T", 1 << 40), ("1TB", 1 << 40), ("1.5G", 3 << 29),
      ("0.5K", 512), ("1.50000000000000000000K", 1536), ("0010M", 10 << 20),
      ("16777215T", 16_777_215 << 40), ("18446744073709551615", .max),
      ("0.0009765625K", 1),
    ] as [(String, UInt64)])
  func sizes(_ text: String, _ bytes: UInt64) throws {
    #expect(try Size(text).bytes == ByteCount(bytes))
  }

  @Test func aSmallNumberWithoutUnitIsNoted() throws {
    #expect(try Size("4096").note == "4096 is in bytes; for MiB write 4096M")
    #expect(try Size("1048575").note != nil)
    for text in ["1048576", "4096B", "4K", "0.5M", "10G"] { #expect(try Size(text).note == nil) }
  }

  @Test(
    arguments: [
      ("0", "is zero"), ("0G", "is zero"), ("0.0M", "is zero"),
      ("-1", "is negative"), ("-", "K, M, G or T"), ("-1G", "is negative"),
      ("10Q", "K, M, G or T"), ("G", "K, M, G or T"), ("", "K, M, G or T"),
      (" 1G", "K, M, G or T"), ("1G ", "K, M, G or T"), ("1  G", "K, M, G or T"),
      ("1GG", "K, M, G or T"), ("1GiBB", "K, M, G or T"), ("1iB", "K, M, G or T"),
      (".5G", "K, M, G or T"), ("1.G", "K, M, G or T"), ("1.5.5G", "K, M, G or T"),
      ("0x10", "K, M, G or T"), ("1e3", "K, M, G or T"), ("+1G", "K, M, G or T"),
      ("٣G", "K, M, G or T"), ("--format", "K, M, G or T"),
      ("1.5", "whole number of bytes"), ("1.3K", "whole number of bytes"),
      ("18446744073709551616", "more than any host"), ("16777216T", "more than any host"),
      ("99999999999999999999", "more than any host"),
    ])
  func invalidSizes(_ text: String, _ reason: String) {
    let problem = #expect(throws: Size.Problem.self) { try Size(text) }
    #expect(problem?.description.contains(reason) == true, "\(problem as Any)")
  }
}
