internal import ArgumentParser
internal import FoundationEssentials
internal import HoldfastCore
internal import HoldfastLinux

/// `holdfast host`.
struct HostCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "host",
    abstract: "Show what this host offers for guest memory, and what to change.",
    usage: "holdfast host [--memory <size>] [--format <format>]",
    discussion: """
      Lists processors, memory, huge pages, transparent huge pages of shared memory, userfaultfd, \
      KVM, the limits on locked memory, and the NUMA nodes with their processors and distances, as \
      this user and container see them. Then lists findings for a guest of the given size: what is \
      good, what could be better and what is missing, each with the command that fixes it. The \
      command changes nothing.

      It measures each way to zero memory that the processor supports, which takes some \
      milliseconds. The environment variable HOLDFAST_ZEROING selects one instead of the fastest.
      """)

  @OptionGroup var size: MemorySizeOption
  @OptionGroup var output: FormatOptions

  func run() throws {
    Output.note(on: size.memory)
    _ = try ZeroingChoice.environment()
    let host = HostProbe().host()
    let zeroing = ZeroingChoice.current(host)
    let memory = size.memory?.bytes ?? DefaultMemory(host).bytes(for: .auto)
    let program = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    let advice = HostAdvice(host, memory: memory, program: program)
    try output.write(
      Report(host, advice, zeroing),
      text: HostReport.text(host, advice: advice, zeroing: zeroing))
  }

  /// The result as JSON.
  private struct Report: Encodable {
    let host: HostCapabilities
    /// How memory is zeroed, with the measured speed of each way.
    let zeroing: ZeroingChoice
    /// The memory available to guests besides huge pages of hugetlb.
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
