internal import CHoldfastLinux

/// A way to make memory zero. Which is the fastest differs between processors by a factor of three,
/// and cannot be read off their features: see ``ZeroingChoice``.
public enum ZeroingKernel: String, Hashable, Sendable, CaseIterable, Codable {
  /// memset(3), through the caches for pieces of the size that threads share out.
  case memset
  /// `rep stosb` where the processor has it fast (ERMS).
  case repStosb = "rep-stosb"
  /// Non-temporal stores of 16 bytes.
  case streamSSE2 = "stream-sse2"
  /// Non-temporal stores of 32 bytes.
  case streamAVX2 = "stream-avx2"
  /// Non-temporal stores of 64 bytes.
  case streamAVX512 = "stream-avx512"
  /// AMD's instruction that zeroes a cache line.
  case clzero
  /// arm64's instruction that zeroes a block.
  case dcZVA = "dc-zva"

  /// The number in C.
  var number: Int32 {
    let kernel: hf_zero_kernel =
      switch self {
      case .memset: HF_ZERO_MEMSET
      case .repStosb: HF_ZERO_STOSB
      case .streamSSE2: HF_ZERO_SSE2
      case .streamAVX2: HF_ZERO_AVX2
      case .streamAVX512: HF_ZERO_AVX512
      case .clzero: HF_ZERO_CLZERO
      case .dcZVA: HF_ZERO_DCZVA
      }
    return Int32(kernel.rawValue)
  }

  /// Whether this processor can do it.
  public var isSupported: Bool { hf_zero_supported(number) != 0 }

  /// Those that this processor can do; memset is always one.
  public static let supported = allCases.filter(\.isSupported)

  /// What is taken as long as nothing was measured.
  static let unmeasured = streamSSE2.isSupported ? streamSSE2 : memset
}
