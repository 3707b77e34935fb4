internal import ArgumentParser
internal import HoldfastCore
internal import HoldfastLinux

extension WirePlan {
  /// Reserves the huge pages that are missing, does the work, and gives exactly those back: also
  /// when the work fails and when a signal ends the program. Nothing of the work's memory may
  /// outlive `body`, so that the pages go back to the host and not only to the pool.
  ///
  /// - Parameter progress: drawn from now on, and wiped before anything else is written.
  func perform<Result>(
    cleaning progress: ProgressBar, _ body: (HostCapabilities) throws -> Result
  ) throws -> Result {
    let loan = BorrowedHugePages()
    Signals.watch {
      // The pages first: a terminal that is stopped keeps whoever writes to it waiting.
      do throws(HoldfastError) {
        try loan.close()
        progress.finish()
      } catch {
        progress.finish()
        Output.report(error.description)
      }
    }
    // It makes a thread, which must have the signals blocked.
    progress.start()
    defer { progress.finish() }
    let result: Result
    do {
      if let missing, missing.pages > .zero { progress.begin("reserving huge pages") }
      for share in shares where share.pages > .zero {
        try loan.take(share.pages, from: share.pool)
      }
      // A new look: there may be more huge pages than at the start.
      result = try body(HostProbe().host())
    } catch {
      do throws(HoldfastError) {
        try loan.giveBack()
      } catch let second {
        throw CLIError("\(error); moreover \(second)")
      }
      throw error
    }
    if let missing, missing.pages > .zero { progress.begin("giving huge pages back") }
    try loan.giveBack()
    return result
  }

  /// Checks arguments that exclude each other, for a command's own `validate`.
  static func validate(memory: ByteCount?, backing: BackingOption, reserve: Bool) throws {
    if reserve, let backing = backing.backing, backing.hugePageSize == nil {
      throw ValidationError(
        "'--reserve-hugepages' is for huge pages from a pool, and '--backing \(backing.rawValue)' "
          + "takes none")
    }
    guard let memory else { return }
    let pool = backing.backing?.hugePageSize ?? (reserve ? .mebibytes(2) : nil)
    let page = pool ?? .kibibytes(4)
    guard !memory.isMultiple(of: page) else { return }
    let nearest = memory.roundedUp(to: page).map { ", such as \($0)" } ?? ""
    throw ValidationError(
      "'--memory' must be a multiple of the page size \(page)"
        + (pool == nil ? "" : " of these huge pages") + nearest + ", not \(memory)")
  }
}
