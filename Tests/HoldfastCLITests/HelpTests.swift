import Testing

struct HelpTests {
  @Test(
    arguments: [
      ([], ["host", "wire", "probe", "simulate", "10G", "64"]),
      (["--help"], ["host", "wire", "--version"]),
      (
        ["help", "wire"],
        [
          "A number alone is in bytes, not in MiB as in QEMU",
          "10G or half of the available memory", "hugetlb-1G", "one for each available processor",
        ]
      ),
      (
        ["wire", "--help"],
        [
          "--memory <size>", "--path <path>", "--backing <backing>", "--reserve-hugepages",
          "--require-locked", "--host-numa-node <nodes>", "--host-numa-policy <policy>",
          "--threads <count>", "--format <format>", "default: text",
          "default: auto", "prefault, fault",
        ]
      ),
      (
        ["simulate", "--help"],
        [
          "--memory <size>", "--guests <count>", "--arrivals <how>", "--trace <file>",
          "--duration <time>", "--lifetime <time>", "--sizes <list>", "--forks <percent>",
          "--paged <percent>", "--dirty <percent>", "--scrub-rate <size>", "--seed <number>",
          "--plot <file>", "--format <format>", "vmcreated, vmdeleted", "vmmemorybucket",
          "steady, bursts, trace",
        ]
      ),
      (
        ["reservoir", "--help"],
        [
          "init", "fill", "lease", "release", "recycle", "gc", "status", "top", "drain", "serve",
          "--older-than",
        ]
      ),
      (
        ["reservoir", "init", "--help"],
        ["--group <group>", "--hugepage-size", "They do not have to be trusted"]
      ),
      (["reservoir", "fill", "--help"], ["a level to reach", "--host-numa-node", "--threads"]),
      (["reservoir", "lease", "--help"], ["belongs to no process", "--grow", "--wait <seconds>"]),
      (["reservoir", "recycle", "--help"], ["vmsplice", "--or-release", "--reuse", "--verify"]),
      (
        ["reservoir", "gc", "--help"],
        ["--older-than <time>", "only its age shows that it is abandoned"]
      ),
      (
        ["reservoir", "top", "--help"],
        ["-d, --interval <seconds>", "-n, --count <count>", "--metrics <source>", "NO_COLOR"]
      ),
      (["run", "--help"], ["{memory}", "mem-path={memory}", "128 and the number"]),
      (
        ["probe", "--help"],
        [
          "--memory <size>", "--mode <mode>", "wired, demand, fork, snapshot", "--cpus <count>",
          "--snapshot-file <path>", "--backing <backing>", "--reserve-hugepages",
          "--format <format>", "Needs /dev/kvm", "twice the memory",
        ]
      ),
      (["host", "--help"], ["--memory <size>", "--format <format>", "HOLDFAST_ZEROING"]),
      (["bench", "scrub", "--help"], ["--scrub-threads", "--rate", "HOLDFAST_CHECK_ZEROED=1"]),
      (["bench", "guest", "--help"], ["--runs", "--hostile", "--faults", "/dev/kvm", "prefault"]),
      (
        ["bench", "qemu", "--help"],
        ["--runs", "--accel", "from before the lease", "disappears with the program"]
      ),
      (["bench", "wire", "--help"], ["that of prefault-dirty"]),
      (["--version"], ["holdfast 0."]),
      (["wire", "--version"], ["holdfast 0."]),
    ] as [([String], [String])])
  func help(_ arguments: [String], _ words: [String]) throws {
    let outcome = try HoldfastProgram(arguments).wait()
    #expect(outcome.status == 0 && outcome.error.isEmpty, "\(outcome)")
    // Lines may break between any two words.
    let text = outcome.output.split(whereSeparator: \.isWhitespace).joined(separator: " ")
    for word in words { #expect(text.contains(word), "\(text)") }
    #expect(outcome.output.hasSuffix("\n") && !outcome.output.hasSuffix("\n\n"))
    for line in outcome.output.split(separator: "\n") { #expect(line.count <= 80, "\(line)") }
  }

  /// The names below `SUBCOMMANDS:` in a help text.
  private func subcommands(_ help: String) -> [String] {
    let lines = help.split(separator: "\n", omittingEmptySubsequences: false)
      .drop { $0 != "SUBCOMMANDS:" }.dropFirst().prefix { !$0.isEmpty }
    return lines.filter { $0.hasPrefix("  ") && $0.dropFirst(2).first != " " }
      .compactMap { $0.split(separator: " ").first.map(String.init) }
  }

  /// The texts of the options and arguments in a help text, each in one line.
  private func options(_ help: String) -> [String] {
    var options: [String] = []
    for line in help.split(separator: "\n") {
      if line.hasPrefix("  -") || line.hasPrefix("  <") || options.isEmpty {
        options.append(String(line))
      } else if line.hasPrefix("      ") {
        options[options.count - 1] += " " + line
      } else {
        options.append(String(line))
      }
    }
    return options
  }

  @Test(
    arguments: [
      ["help", "nonsense"], ["help", "reservoir", "nonsense"], ["help", "wire", "fill"],
      ["help", "wire", "--help", "nonsense"], ["help", "reservoir", "fill", "1x2M"],
    ])
  func helpForACommandThatDoesNotExist(_ arguments: [String]) throws {
    try HoldfastProgram(arguments).wait()
      .expectFailure(64, "unexpected argument '\(arguments[arguments.count - 1])'")
  }

  @Test func helpForCommandsThatExist() throws {
    for words in [["help"], ["help", "wire"], ["help", "reservoir", "fill"], ["help", "--help"]] {
      let outcome = try HoldfastProgram(words).wait()
      #expect(outcome.status == 0 && outcome.output.hasPrefix("OVERVIEW: "), "\(outcome)")
    }
  }

  @Test func everyHelpIsInPlainEnglish() throws {
    var commands: [[String]] = [[]]
    var seen: [[String]] = []
    while let command = commands.popLast() {
      seen.append(command)
      let outcome = try HoldfastProgram(command + ["--help"]).wait()
      #expect(outcome.status == 0 && outcome.error.isEmpty, "\(outcome)")
      #expect(PlainEnglish.bannedPhrases(in: outcome.output) == [], "\(command)")
      #expect(outcome.output.hasPrefix("OVERVIEW: "), "\(command)")
      for line in outcome.output.split(separator: "\n") {
        #expect(line.count <= 80, "\(command): \(line)")
      }
      for option in options(outcome.output) {
        #expect(option.ranges(of: "default:").count <= 1, "\(command): \(option)")
      }
      commands += subcommands(outcome.output).map { command + [$0] }
    }
    #expect(seen.count > 20 && seen.contains(["reservoir", "serve"]), "\(seen)")
  }
}
