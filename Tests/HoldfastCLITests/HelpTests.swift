import Testing

@Suite struct HelpTests {
  @Test(
    arguments: [
      ([], ["host", "wire", "probe", "simulate", "10G", "64"]),
      (["--help"], ["host", "wire", "--version"]),
      (
        ["help", "wire"],
        [
          "A number alone is in bytes, not in MiB as QEMU has it",
          "10G or half of what is available", "hugetlb-1G", "one for each processor",
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
          "init", "fill", "lease", "release", "recycle", "gc", "status", "drain", "serve",
          "--older-than",
        ]
      ),
      (
        ["reservoir", "init", "--help"],
        ["--group <group>", "--hugepage-size", "Members are trusted"]
      ),
      (["reservoir", "fill", "--help"], ["a level to reach", "--host-numa-node", "--threads"]),
      (["reservoir", "lease", "--help"], ["belongs to no process", "--grow", "--wait <seconds>"]),
      (["reservoir", "recycle", "--help"], ["vmsplice", "--or-release", "--verify"]),
      (["reservoir", "gc", "--help"], ["--older-than <time>", "only their age can tell"]),
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
        ["--runs", "--accel", "from before the lease", "goes with the program"]
      ),
      (["bench", "wire", "--help"], ["the floor of prefault-dirty"]),
      (["--version"], ["holdfast 0."]),
      (["wire", "--version"], ["holdfast 0."]),
    ] as [([String], [String])])
  func help(_ arguments: [String], _ words: [String]) throws {
    let outcome = try HoldfastProgram(arguments).wait()
    #expect(outcome.status == 0 && outcome.error.isEmpty, "\(outcome)")
    // Lines break where they happen to.
    let text = outcome.output.split(whereSeparator: \.isWhitespace).joined(separator: " ")
    for word in words { #expect(text.contains(word), "\(text)") }
    #expect(outcome.output.hasSuffix("\n") && !outcome.output.hasSuffix("\n\n"))
    for line in outcome.output.split(separator: "\n") { #expect(line.count <= 80, "\(line)") }
  }
}
