internal import ArgumentParser
internal import Holdfast
internal import HoldfastCore
internal import HoldfastLinux

/// `holdfast wire`.
struct WireCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "wire",
    abstract: "Take memory, wire it as a guest's, and show what was really obtained.",
    usage: "holdfast wire [--memory <size>] [<options>]",
    discussion: """
      Prepares an arena: a file in memory, brought in whole and locked, as a monitor would do once \
      for all its guests. Then maps and wires a segment of it at guest address 0, which is what \
      the start of a guest waits for, checks the result against the kernel's own view, prints the \
      receipt, and gives everything back.

      Works as any user. Without huge pages, or where the kernel refuses to lock memory, it takes \
      what there is and says so.
      """)

  @Option(
    name: [.customShort("m"), .long], parsing: .unconditional,
    help: ArgumentHelp(
      "The guest's memory with K, M, G or T (powers of two): 512M, 10G. A number alone is in bytes, "
        + "not in MiB as QEMU has it. A multiple of the page size of the backing. (default: 10G or "
        + "half of what is available, whichever is less)",
      valueName: "size"),
    transform: { try Size($0) })
  var memory: Size?

  @Option(
    help: ArgumentHelp(
      "How to wire: prefault allocates superpages and enters them by the run; fault takes one "
        + "page at a time, as if the guest had touched it, for comparison; auto is prefault.",
      valueName: "path"))
  var path = GuestMemory.WirePath.automatic

  @Option(
    help: ArgumentHelp(
      "What the memory is made of: hugetlb-1G and hugetlb-2M are huge pages from the host's pools "
        + "(nr_hugepages, as set by hugeadm or at boot), thp is shared memory with transparent "
        + "huge pages of 2M, base is shared memory of 4K pages; auto takes the first of these "
        + "that has room and says why not a better one.",
      valueName: "backing"))
  var backing = BackingOption.auto

  @Flag(
    help: ArgumentHelp(
      "Raise the pool of huge pages by as many as are missing, and lower it again by exactly that "
        + "at the end, also after a failure or a signal. Needs root. The pool is that of --backing, "
        + "of 2M pages for auto. (Not after kill -9 or a crash: nr_hugepages then stays raised.)"))
  var reserveHugepages = false

  @Flag(help: "Fail, with status 1, where the kernel does not let all of the memory be locked.")
  var requireLocked = false

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Threads that bring in and zero memory, 1 to 1024. (default: one for each processor that "
        + "may be used)",
      valueName: "count"),
    transform: { try wholeNumber($0, in: 1...1024) })
  var threads: Int?

  @OptionGroup var output: FormatOptions

  func validate() throws {
    try WirePlan.validate(memory: memory?.bytes, backing: backing, reserve: reserveHugepages)
  }

  func run() throws {
    if let note = memory?.note { Output.note(note) }
    let plan = try WirePlan(
      HostProbe().host(), memory: memory?.bytes, backing: backing, reserve: reserveHugepages)
    let run = WireRun(
      plan: plan, path: path, isAutomatic: backing == .auto, requireLocked: requireLocked,
      threads: threads)
    let result = try run.perform()
    switch output.format {
    case .text: try Output.write(result.text)
    case .json: try Output.write(json(result))
    }
    guard result.verified else {
      throw CLIError(
        "the memory is not what its receipt says: " + result.problems.joined(separator: "; ")
          + "; try: another --backing, and report this with the output of `holdfast host`")
    }
  }
}
