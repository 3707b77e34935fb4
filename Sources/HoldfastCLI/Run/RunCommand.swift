internal import ArgumentParser
internal import Glibc
internal import HoldfastCore
internal import HoldfastLinux
internal import HoldfastReservoir
internal import SystemPackage

/// `holdfast run`.
struct RunCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract: "Run a monitor on leased memory, and return the memory when it ends.",
    usage: "holdfast run --memory <size> [<options>] -- <program> ... {memory} ...",
    discussion: """
      Leases memory from the reservoir and starts the program. In its arguments, {memory} is \
      replaced by the path of the leased file, {fd} by the number of an open descriptor of it, \
      {size} by its size in QEMU's notation, such as 10G, and {name} by the name of the lease:

        holdfast run -m 10G -- qemu-system-x86_64 -m {size} \\
          -object memory-backend-file,id=ram,mem-path={memory},size={size},share=on \\
          -machine q35,memory-backend=ram ...

      The program inherits an open file whose lock holds the lease. It therefore keeps the memory \
      as long as it lives, even if holdfast is killed; `holdfast reservoir gc` then collects the \
      memory afterwards. The owner of the reservoir and root lease directly; other users lease \
      from the service (`holdfast reservoir serve`). Signals are passed on to the program. The \
      exit status is the program's, or 128 and the number of the signal that ended it. If holdfast \
      cannot start the program, the status is 1 or 64, as for other commands.
      """)

  @Option(
    name: [.customShort("m"), .long], parsing: .unconditional,
    help: ArgumentHelp(
      "The size of the memory with K, M, G or T: 512M, 10G. A number alone is in bytes.",
      valueName: "size"),
    transform: { try Size($0) })
  var memory: Size

  @OptionGroup var request: LeaseRequestOptions
  @OptionGroup var ending: ReuseOptions
  @OptionGroup var place: ReservoirAccessOptions

  @Argument(
    parsing: .postTerminator,
    help: ArgumentHelp("The program and its arguments, after --.", valueName: "program"))
  var words: [String]

  func validate() throws {
    guard let program = words.first, !program.isEmpty else {
      throw ValidationError("no program follows '--'")
    }
    guard words.contains(where: { $0.contains("{memory}") || $0.contains("{fd}") }) else {
      throw ValidationError(
        "the arguments of '\(program)' lack {memory}, which the path of the memory replaces, and "
          + "{fd}, which a descriptor replaces")
    }
  }

  func run() throws {
    Output.note(on: memory)
    _ = try ZeroingChoice.environment()
    let reservoir = try place.access()
    let signals = ChildSignals()
    var signal: Int32?
    var lease: Lease? = try self.lease(reservoir, signals, lateSignal: &signal)
    guard let receipt = lease?.receipt, let descriptor = lease?.descriptor else { return }
    let name = try LeaseName(receipt.name)
    let words = words.map {
      $0.replacing("{memory}", with: receipt.path)
        .replacing("{fd}", with: "\(descriptor)")
        .replacing("{size}", with: receipt.size.shortDescription)
        .replacing("{name}", with: receipt.name)
    }
    if let number = signal ?? signals.pendingTermination() {
      lease = nil
      end(reservoir, name)
      Signals.end(by: number)
    }
    let child: ChildProcess
    do throws(Errno) {
      child = try ChildProcess(words, inheriting: descriptor, signals)
    } catch {
      lease = nil
      end(reservoir, name)
      let advice =
        switch (error, words[0].contains("/")) {
        case (.noSuchFileOrDirectory, false): "its full path"
        case (.permissionDenied, _): "a file that this user may execute"
        default: "another program"
        }
      throw CLIError("cannot start '\(words[0])': \(error); try: \(advice)")
    }
    let status = child.wait(signals)
    // From here on only a process that inherited the file can hold the lock.
    lease = nil
    end(reservoir, name)
    if status != 0 { throw ProgramExit(status: status) }
  }

  /// Leases; a signal ends the program while it waits for memory or populates it.
  ///
  /// - Parameter lateSignal: the signal that arrived too late to cancel the lease.
  private func lease(
    _ reservoir: ReservoirAccess, _ signals: ChildSignals, lateSignal: inout Int32?
  ) throws -> Lease {
    var request = request.request(memory.bytes)
    request.isHeld = true
    let watch: SignalWatch
    do throws(Errno) {
      watch = try SignalWatch(signals)
    } catch {
      throw CLIError(
        "cannot start a thread that waits for signals: \(error); try: a higher limit of threads "
          + "(ulimit -u)")
    }
    do throws(HoldfastError) {
      let lease = try reservoir.lease(request, cancellation: watch.cancellation)
      lateSignal = watch.stop()
      return lease
    } catch {
      if let number = watch.stop() { Signals.end(by: number) }
      throw error
    }
  }

  /// Ends the lease. The exit status stays the program's, so a failure is only a note.
  private func end(_ reservoir: ReservoirAccess, _ name: LeaseName) {
    do throws(HoldfastError) {
      switch reservoir {
      case .service(let client): _ = try client.release(name)
      case .folders(let reservoir):
        var options = ending.options
        options.size = memory.bytes
        _ = try reservoir.recycle(name, otherwise: .release, options: options)
      }
    } catch {
      // `gc` has collected it already.
      if error.code == .noLease { return }
      if error.code == .busy {
        Output.note(
          "another process still holds the lease '\(name)'; holdfast reservoir gc collects it "
            + "later")
      } else {
        Output.note(AdviceText.line(error))
      }
    }
  }
}

/// The status of the program that `holdfast run` ran, which becomes the status of `holdfast`.
struct ProgramExit: Error {
  let status: Int32
}
