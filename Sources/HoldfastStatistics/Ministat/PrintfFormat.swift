#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// `value` as C's `%width.precisiong` prints it: `precision` significant digits, right-aligned.
///
/// The corresponding C function is `printf`. The decimal sign is that of the process's locale,
/// which is a point as long as nothing calls `setlocale`.
func generalFormat(_ value: Double, precision: Int32 = 6, width: Int32 = 0) -> String {
  formatted("%*.*g", [width, precision, value])
}

/// `value` as C's `%.precisionf` prints it. `value` is below 1e6, `precision` below 20.
func fixedFormat(_ value: Double, precision: Int32) -> String {
  formatted("%.*f", [precision, value])
}

private func formatted(_ format: String, _ arguments: [any CVarArg]) -> String {
  var buffer = [CChar](repeating: 0, count: 64)
  // SAFETY: `vsnprintf` writes at most `buffer.count` bytes, the final 0 included, and reads the
  // arguments that `format` names, which the two callers above pass in that order and type.
  let length = unsafe withVaList(arguments) { list in
    unsafe vsnprintf(&buffer, buffer.count, format, list)
  }
  let bytes = buffer.prefix(max(0, Int(length))).map { UInt8(bitPattern: $0) }
  return String(decoding: bytes, as: UTF8.self)
}
