internal import CHoldfastLinux

/// A way to zero memory. Their speeds differ by a factor of up to three, in an order that differs
/// between processors and does not follow from their features; ``ZeroingChoice`` measures it.
public enum ZeroingKernel: String, Hashable, Sendable, CaseIterable, Codable {
  /// memset(3), which goes through the caches for the pieces that threads take.
  case memset
  /// `rep stosb`, on processors where it is fast (ERMS).
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

  /// The number in hf_zero.h.
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

  /// Whether this processor and kernel support it.
  public var isSupported: Bool { hf_zero_supported(number) != 0 }

  /// The kernels that are supported here, always including memset.
  public static let supported = allCases.filter(\.isSupported)

  /// The kernel that is used before anything is measured.
  static let unmeasured = streamSSE2.isSupported ? streamSSE2 : memset
}
