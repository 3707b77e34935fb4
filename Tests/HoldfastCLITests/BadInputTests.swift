import Foundation
import Testing

/// Bad input ends with one clear line and the right status, and leaves nothing behind.
struct BadInputTests {
  @Test(
    arguments: [
      (["wire", "--memory", "0"], 64, "it is zero"),
      (["wire", "--memory", "-1"], 64, "the value '-1' is invalid for '--memory <size>'"),
      (["wire", "--memory=-1"], 64, "it is negative"),
      (["wire", "-m", "10Q"], 64, "the value '10Q' is invalid for '-m <size>': it is not a size"),
      (["wire", "--memory", "99999999999999999999"], 64, "more than any host"),
      (["wire", "--memory", "4097"], 64, "4097 bytes is not a multiple of the page size 4 KiB"),
      (["wire", "--memory", "3M", "--backing", "hugetlb-2M"], 64, "2 MiB"),
      (["wire", "--memory", "512M", "--backing", "hugetlb-1G"], 64, "use for example 1G"),
      (["wire", "--memory", "3M", "--reserve-hugepages"], 64, "multiple of the page size 2 MiB"),
      (["wire", "--memory"], 64, "missing value for '--memory <size>'"),
      (["wire", "--memory", "1\n2"], 64, "1 2"),
      (["wire", "-m", "1\n- a\n- b"], 64, "the value '1 - a - b' is invalid for '-m <size>'"),
      (["wire", "--backing", "a\r\nb\u{2028}c"], 64, "the value 'a? b?c' is invalid"),
      (["wire", "-m", "\u{202E}1\u{2066}\u{9B}"], 64, "the value '?1??' is invalid"),
      (["wire\n- x"], 64, "'wire - x'"),
      (["wire", "--threads", "+1"], 64, "it is not a whole number, use a number from 1 to 1024"),
      (["probe", "--cpus", "+1"], 64, "it is not a whole number"),
      (["simulate", "--seed", "+1"], 64, "it is not a whole number"),
      (["simulate", "--lifetime", "3651d"], 64, "it is too long: use at most 3650d"),
      (["simulate", "--duration", "11574d"], 64, "it is too long: use at most 3650d"),
      (["reservoir", "gc", "--older-than", "10000.1d"], 64, "it is too long: use at most 10000d"),
      (["wire", "--backing", "paper"], 64, "'hugetlb-2M'"),
      (["wire", "--path", "slow"], 64, "'prefault'"),
      (["wire", "--format", "xml"], 64, "'json'"),
      (["wire", "--threads", "0"], 64, "too small, use a number from 1 to 1024"),
      (["wire", "--threads", "-1"], 64, "from 1 to 1024"),
      (
        ["wire", "--reserve-hugepages", "--backing", "thp"], 64,
        "cannot be combined with '--backing thp'"
      ),
      (["wire", "--host-numa-node", "one"], 64, "it is not a node, use numbers from 0 to 1023"),
      (["wire", "--host-numa-node", "-1"], 64, "'-1'"),
      (["wire", "--host-numa-node", "3-1"], 64, "runs backwards, use 1-3"),
      (["wire", "--host-numa-node", "0,,1"], 64, "a node is missing"),
      (["wire", "--host-numa-node", "1024"], 64, "node 1024 is too large"),
      (["wire", "--host-numa-node="], 64, "missing value for '--host-numa-node <nodes>'"),
      (["wire", "--host-numa-policy", "bind"], 64, "requires '--host-numa-node <nodes>'"),
      (["wire", "--host-numa-node", "0", "--host-numa-policy", "strict"], 64, "'interleave'"),
      (["wire", "--bogus"], 64, "unknown option '--bogus'"),
      (["wire", "--memroy", "1G"], 64, "is it '--memory'"),
      (["wire", "more"], 64, "unexpected argument 'more'"),
      (["bench", "guest", "--runs", "0"], 64, "from 1 to 1000"),
      (["bench", "guest", "--hostile", "--faults", "0"], 64, "from 1 to 100000"),
      (["bench", "scrub", "--scrub-threads", "0"], 64, "from 1 to 1024"),
      (["bench", "scrub", "--rate", "0"], 64, "it is zero"),
      (["bench", "scrub", "--rate", "fast"], 64, "holdfast bench scrub --help"),
      (["host", "--memory", "none"], 64, "holdfast host --help"),
      (["wier"], 64, "'wier'"),
      (["--bogus"], 64, "holdfast --help"),
      (["wire", "--memory", "4M", "--host-numa-node", "1023"], 1, "node 1023"),
      (["bench", "wire", "--memory", "4M", "--host-numa-node", "1023"], 1, "node 1023"),
      (["simulate", "--memory", "0"], 64, "it is zero"),
      (["simulate", "--memory", "2000001"], 64, "multiple of the page size 4 KiB"),
      (["simulate", "--memory", "8K"], 64, "from 1 MiB to 1024 TiB"),
      (["simulate", "--memory", "1025T"], 64, "from 1 MiB to 1024 TiB"),
      (["simulate", "--guests", "0"], 64, "from 1 to 1000000"),
      (["simulate", "--guests", "-1"], 64, "from 1 to 1000000"),
      (["simulate", "--arrivals", "often"], 64, "'bursts'"),
      (["simulate", "--arrivals", "trace"], 64, "requires '--trace <file>'"),
      (
        ["simulate", "--arrivals", "steady", "--trace", "x"], 64,
        "cannot be combined with '--arrivals steady'"
      ),
      (
        ["simulate", "--trace", "x", "--sizes", "1G"], 64,
        "'--sizes' cannot be combined with a trace"
      ),
      (
        ["simulate", "--trace", "x", "--lifetime", "1h"], 64,
        "'--lifetime' cannot be combined with a trace"
      ),
      (["simulate", "--duration", "2"], 64, "such as 30m or 2d"),
      (["simulate", "--duration", "-2d"], 64, "such as 30m or 2d"),
      (["simulate", "--lifetime", "1ms"], 64, "such as 30m or 2d"),
      (["simulate", "--sizes", "1G:none"], 64, "'1G:none'"),
      (["simulate", "--sizes", "4097"], 64, "'4097' is not a multiple of 4 KiB"),
      (["simulate", "--forks", "101"], 64, "from 0 to 100"),
      (["simulate", "--forks", "60", "--paged", "50"], 64, "more than 100 percent"),
      (["simulate", "--scrub-rate", "-1"], 64, "it is negative"),
      (["simulate", "--seed", "x"], 64, "a number from 0"),
      (["simulate", "--guests", "1000000", "--lifetime", "1h"], 64, "over 20,000,000 guests"),
      (["wire", "--memory", "999T"], 1, "are available"),
      (["wire", "--memory", "16777215T"], 1, "exceeds every address space"),
      (["wire", "--memory", "999T", "--backing", "hugetlb-1G"], 1, "hugetlb-1G"),
      (["wire", "--memory", "999T", "--backing", "hugetlb-2M"], 1, "hugetlb-2M"),
      (["wire", "--memory", "999T", "--backing", "thp"], 1, "thp"),
      (["wire", "--memory", "999T", "--reserve-hugepages"], 1, "reserve huge pages"),
    ] as [([String], Int32, String)])
  func badInput(_ arguments: [String], _ status: Int32, _ words: String) throws {
    try HoldfastProgram(arguments).wait().expectFailure(status, words)
  }

  @Test(
    arguments: [
      ["--version"], ["--help"], ["host"], ["host", "--format", "json"],
      ["wire", "--memory", "4M", "--backing", "base"],
    ])
  func outputThatCannotBeWritten(_ arguments: [String]) throws {
    func run(_ sink: HoldfastProgram.Sink) throws -> HoldfastProgram.Outcome {
      try HoldfastProgram(arguments, output: sink).wait()
    }
    try run(.file("/dev/full", O_WRONLY)).expectFailure(1, "No space left on device")
    try run(.closed).expectFailure(1, "standard output is closed")
    try run(.file("/dev/null", O_RDONLY)).expectFailure(1, "not open for writing")
  }

  @Test func usageErrorsAreReportedWithoutOutput() throws {
    try HoldfastProgram.run("wire", "--bogus", output: .closed).expectFailure(64, "--bogus")
  }

  @Test func allStreamsClosed() throws {
    let script = #"exec "$0" wire --memory 4M --backing base <&- >&- 2>&-"#
    let outcome = try HoldfastProgram(
      [], command: ["/bin/sh", "-c", script, HoldfastProgram.path]
    ).wait()
    #expect(outcome.status == 1 && outcome.output.isEmpty && outcome.error.isEmpty)
  }

  @Test func aReaderThatClosesThePipe() throws {
    // The left side's status, after a right side that never reads.
    let script = #"{ "$0" wire --memory 4M --backing base; echo $? >&2; } | sleep 0"#
    let outcome = try HoldfastProgram(
      [], command: ["/bin/sh", "-c", "sleep 0.2; " + script, HoldfastProgram.path]
    ).wait()
    let lines = outcome.error.split(separator: "\n")
    // The reader may be gone only after the output was written to the pipe.
    #expect(lines == ["0"] || (lines.count == 2 && lines[1] == "1"), "\(outcome)")
    if lines.count == 2 {
      #expect(lines[0].hasPrefix("holdfast: error: cannot write the output: Broken pipe"))
    }
  }
}
