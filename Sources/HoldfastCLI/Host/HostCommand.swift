internal import ArgumentParser
internal import FoundationEssentials
internal import HoldfastCore
internal import HoldfastLinux

/// `holdfast host`.
struct HostCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "host",
    abstract: "Show what this host offers guest memory, and what to change.",
    usage: "holdfast host [--memory <size>] [--format <format>]",
    discussion: """
      Lists processors, memory, huge pages, transparent huge pages of shared memory, userfaultfd, \
      KVM, the limits on locked memory and the NUMA nodes with their processors and distances, as \
      far as this user and container can see them. Below are the findings for a guest of the given size: what is good, what could be better and what \
      is missing, each with the command that mends it. Nothing is changed.

      The ways to zero memory that the processor has are measured, which takes some milliseconds. \
      HOLDFAST_ZEROING in the environment names one to be used instead of the fastest.
      """)

  @Option(
    name: [.customShort("m"), .long], parsing: .unconditional,
    help: ArgumentHelp(
      "The guest memory to judge the host for, with K, M, G or T; a number alone is in bytes. "
        + "(default: 10G or half of what is available, whichever is less)",
      valueName: "size"),
    transform: { try Size($0) })
  var memory: Size?

  @OptionGroup var output: FormatOptions

  func run() throws {
    if let note = memory?.note { Output.note(note) }
    _ = try ZeroingChoice.environment()
    let host = HostProbe().host()
    let zeroing = ZeroingChoice.current(host)
    let memory = memory?.bytes ?? DefaultMemory(host).bytes(for: .auto)
    let program = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    let advice = HostAdvice(host, memory: memory, program: program)
    switch output.format {
    case .text: try Output.write(HostReport.text(host, advice: advice, zeroing: zeroing))
    case .json: try Output.write(json(Report(host, advice, zeroing)))
    }
  }

  /// The result as JSON.
  private struct Report: Encodable {
    let host: HostCapabilities
    /// How memory is zeroed, with what each way was measured to do.
    let zeroing: ZeroingChoice
    /// What guests could have besides huge pages of hugetlb.
    let availableForGuestsBytes: ByteCount
    /// The memory that the findings are about.
    let memoryBytes: ByteCount
    /// The worst level among the findings.
    let level: HostAdvice.Level
    let findings: [HostAdvice.Finding]

    init(_ host: HostCapabilities, _ advice: HostAdvice, _ zeroing: ZeroingChoice) {
      self.host = host
      self.zeroing = zeroing
      availableForGuestsBytes = host.availableForGuests
      memoryBytes = advice.memory
      level = advice.level
      findings = advice.findings
    }
  }
}
