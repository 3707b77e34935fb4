internal import HoldfastCore
internal import HoldfastLinux
internal import HoldfastTemplate
internal import SystemPackage

/// The memory file of a template that is being made.
struct SealTarget: SaveTarget {
  let operation: String
  private let store: TemplateStore
  private let writer: ImageWriter

  /// Creates the file.
  init(_ draft: TemplateDraft, size: ByteCount, operation: String) throws(HoldfastError) {
    self.operation = operation
    store = draft.store
    writer = ImageWriter(try draft.makeMemory(size))
  }

  func write(_ bytes: RawSpan, at offset: ByteCount) throws(HoldfastError) -> ByteCount {
    do throws(Errno) {
      return try writer.write(bytes, at: offset)
    } catch {
      throw failure(error)
    }
  }

  /// Waits until the file is on its disk.
  func flush() throws(HoldfastError) {
    do throws(Errno) {
      try writer.flush()
    } catch {
      throw failure(error)
    }
  }

  private func failure(_ error: Errno) -> HoldfastError {
    let isShort = [.noSpace, .noMemory, .diskQuotaExceeded].contains(error)
    return HoldfastError(
      isShort ? .resourceShortage : .host, operation: operation,
      reason: isShort
        ? store.isHugetlb
          ? "no huge page of \(store.pageSize) is free" : "\(store.mount) has no space left"
        : "the memory file cannot be written"
          + (error == .fileTooLarge ? ": " + ResourceLimits.fileSizeWords : ""),
      errno: error.rawValue,
      advice: isShort
        ? .other(store.isHugetlb ? "more huge pages" : "free space there, or another folder")
        : error == .fileTooLarge ? ResourceLimits.fileSizeAdvice : nil)
  }
}
