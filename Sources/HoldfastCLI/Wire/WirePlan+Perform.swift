internal import ArgumentParser
internal import Glibc
internal import HoldfastCore
internal import HoldfastLinux

extension WirePlan {
  /// Adds the missing huge pages to the pools, does the work, and returns exactly those pages, also
  /// when the work fails or a signal ends the program. `body` must free all of its memory, so that
  /// the pages return to the host and not only to the pool.
  ///
  /// - Parameters:
  ///   - progress: drawn from now on, and erased before anything else is written.
  ///   - cancellation: cancelled by a signal, after which the work is waited for until a second
  ///     signal comes. Without it the work ends at the first one.
  func perform<Result>(
    cleaning progress: ProgressBar, cancelling cancellation: CancellationToken? = nil,
    _ body: (HostCapabilities) throws -> Result
  ) throws -> Result {
    let pages = BorrowedHugePages()
    let isDone = CancellationToken()
    Signals.watch {
      if let cancellation {
        cancellation.cancel()
        while !isDone.isCancelled, !Signals.isPending { usleep(20_000) }
      }
      // The pages come first: a stopped terminal blocks every thread that writes to it.
      do throws(HoldfastError) {
        try pages.close()
        progress.finish()
      } catch {
        progress.finish()
        Output.report(AdviceText.line(error))
      }
    }
    // The progress bar creates a thread, which must have the signals blocked.
    progress.start()
    defer { progress.finish() }
    let result: Result
    do {
      if let missing, missing.pages > .zero { progress.begin("reserving huge pages") }
      for share in shares where share.pages > .zero {
        try pages.add(share.pages, to: share.pool)
      }
      // Probes again: there may be more huge pages than at the start.
      defer { isDone.cancel() }
      result = try body(HostProbe().host())
    } catch {
      do throws(HoldfastError) {
        try pages.giveBack()
      } catch let second {
        throw CLIError(CLIError(error).line + "; also " + CLIError(second).line)
      }
      throw error
    }
    if let missing, missing.pages > .zero { progress.begin("returning huge pages") }
    try pages.giveBack()
    return result
  }

  /// Checks arguments that cannot be combined, for a command's own `validate`.
  static func validate(memory: ByteCount?, backing: BackingOption, reserve: Bool) throws {
    if reserve, let backing = backing.backing, backing.hugePageSize == nil {
      throw ValidationError(
        "'--reserve-hugepages' cannot be combined with '--backing \(backing.rawValue)', which uses "
          + "no pool of huge pages")
    }
    guard let memory else { return }
    let pool = backing.backing?.hugePageSize ?? (reserve ? .mebibytes(2) : nil)
    let page = pool ?? .kibibytes(4)
    guard !memory.isMultiple(of: page) else { return }
    let nearest =
      memory.roundedUp(to: page).map { ", use for example \($0.shortDescription)" } ?? ""
    // So few bytes are a number without a unit, as QEMU's -m takes it.
    let unit =
      memory < .kibibytes(4)
      ? "; a number alone is in bytes, for MiB write \(memory.rawValue)M" : ""
    throw ValidationError(
      "'--memory' of \(memory) is not a multiple of the page size \(page)" + nearest + unit)
  }
}
