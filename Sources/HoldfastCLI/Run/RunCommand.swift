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
    abstract: "Run a monitor on ready memory, and give that back when it ends.",
    usage: "holdfast run --memory <size> [<options>] -- <program> ... {memory} ...",
    discussion: """
      Leases memory from the reservoir and starts the program with {memory} in its arguments replaced \
      by the path of the file, {size} by its size as QEMU reads it, such as 10G, and {name} by the \
      lease's name:

        holdfast run -m 10G -- qemu-system-x86_64 -m {size} \\
          -object memory-backend-file,id=ram,mem-path={memory},size={size},share=on \\
          -machine q35,memory-backend=ram ...

      The program inherits an open file whose lock is the lease. So the memory is its own as long as \
      it lives, also when holdfast is killed; `holdfast reservoir gc` then collects it after its end. \
      Signals are passed on. The status is the program's, or 128 and the number of the signal that \
      ended it; before the program is started it is that of all commands.
      """)

  @Option(
    name: [.customShort("m"), .long], parsing: .unconditional,
    help: ArgumentHelp(
      "How much, with K, M, G or T: 512M, 10G. A number alone is in bytes.", valueName: "size"),
    transform: { try Size($0) })
  var memory: Size

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The lease's name: 1 to 128 letters, digits, - and _. (default: one that nobody has)",
      valueName: "name"),
    transform: { try leaseName($0) })
  var name: LeaseName?

  @Flag(
    help: ArgumentHelp(
      "Give the memory back to the host at the end, instead of scrubbing it to be ready again. So it "
        + "is anyway where the user does not own the reservoir, or somebody still has it open."))
  var release = false

  @OptionGroup var request: LeaseRequestOptions
  @OptionGroup var scrub: ScrubOptions
  @OptionGroup var place: ReservoirOptions

  @Argument(
    parsing: .postTerminator,
    help: ArgumentHelp("The program and its arguments, behind --.", valueName: "program"))
  var words: [String]

  func validate() throws {
    guard let program = words.first, !program.isEmpty else {
      throw ValidationError("a program to run is missing behind '--'")
    }
    guard words.contains(where: { $0.contains("{memory}") }) else {
      throw ValidationError("the arguments of '\(program)' have no {memory} to put the path in")
    }
  }

  func run() throws {
    if let note = memory.note { Output.note(note) }
    _ = try ZeroingChoice.environment()
    let reservoir = try place.reservoir()
    let signals = ChildSignals()
    var signal: Int32?
    var lease: Lease? = try self.lease(reservoir, signals, lateSignal: &signal)
    guard let receipt = lease?.receipt, let descriptor = lease?.descriptor else { return }
    let name = try LeaseName(receipt.name)
    let words = words.map {
      $0.replacing("{memory}", with: receipt.path)
        .replacing("{size}", with: receipt.size.shortDescription)
        .replacing("{name}", with: receipt.name)
    }
    if let number = signal ?? signals.pendingEnd() {
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
      throw CLIError("cannot start '\(words[0])': \(error); try: its full path")
    }
    let status = child.wait(signals)
    // Only a process that inherited the file could hold the lock from here on.
    lease = nil
    end(reservoir, name)
    if status != 0 { throw ChildStatus(status: status) }
  }

  /// Leases; a signal ends the program while it waits for memory or populates it.
  ///
  /// - Parameter lateSignal: the signal that arrived too late to cancel the lease.
  private func lease(
    _ reservoir: Reservoir, _ signals: ChildSignals, lateSignal: inout Int32?
  ) throws -> Lease {
    var request = request.request(memory.bytes, name)
    request.isHeld = true
    let watch = try SignalWatch(signals)
    do throws(HoldfastError) {
      let lease = try reservoir.lease(request, cancellation: watch.cancellation)
      lateSignal = watch.stop()
      return lease
    } catch {
      if let number = watch.stop() { Signals.end(by: number) }
      throw error
    }
  }

  /// Gives the lease up. The program's status is what counts, so what goes wrong is only told.
  private func end(_ reservoir: Reservoir, _ name: LeaseName) {
    do throws(HoldfastError) {
      if release || !reservoir.isOwner {
        _ = try reservoir.release(name)
      } else {
        _ = try reservoir.recycle(name, otherwise: .release, options: scrub.options)
      }
    } catch {
      // Somebody collected it already.
      if error.code == .noLease { return }
      if error.code == .busy {
        Output.note(
          "another process still holds '\(name)'; holdfast reservoir gc collects it afterwards")
      } else {
        Output.note(error.description)
      }
    }
  }
}

/// How the program ended that `holdfast run` has run: with this status, so does `holdfast`.
struct ChildStatus: Error {
  let status: Int32
}
