import HoldfastCore
import Testing

@testable import HoldfastCLI
@testable import HoldfastReservoir
@testable import HoldfastService

/// The view as a function of a state and a size, against texts.
struct TopViewTests {
  private static func lease(
    _ name: String, size: ByteCount = .gibibytes(10), user: UInt32 = 0, isHeld: Bool = false,
    seconds: Int64
  ) -> ReservoirStatus.LeaseEntry {
    .init(
      name: name, user: user, size: size, node: nil, path: "/dev/hugepages/\(name)",
      isHeld: isHeld, seconds: seconds)
  }

  /// A reservoir with two levels, two leases and a service.
  private static var state: TopState {
    var status = ReservoirStatus(
      path: "/dev/hugepages/holdfast", pageSize: .mebibytes(2), isHugetlb: true, owner: 0,
      isComplete: true)
    status.freePages = PageCount(1024)
    status.rows = [
      .init(size: .gibibytes(10), ready: 4, leased: 2),
      .init(size: .gibibytes(8), node: NodeID(1), ready: 1),
      .init(size: .gibibytes(8), filling: 1),
    ]
    status.leases = [
      lease("web", isHeld: true, seconds: 7_500), lease("db", user: 1000, seconds: 42),
    ]
    var reading = ServiceReading()
    reading.started = 1_000_000
    reading.levels = [
      .init(count: 4, size: .gibibytes(10)),
      .init(count: 8, size: .gibibytes(8), node: NodeID(1)),
    ]
    reading.counters = [.leasedBytes: 50 << 30, .filledBytes: 90 << 30, .released: 3]
    reading.durations[.lease] = durations([5e-5, 1e-4], [2, 5], 5)
    reading.durations[.fill] = durations([0.5, 2.5], [0, 9], 9)
    let before = reading
    reading.counters[.leasedBytes]? += 20 << 30
    reading.counters[.filledBytes]? += 10 << 30
    reading.durations[.lease] = durations([5e-5, 1e-4], [3, 6], 7)
    reading.durations[.fill] = durations([0.5, 2.5], [0, 10], 10)
    reading.failures = [.init(operation: "lease", code: "noReadyMemory"): 2]
    var state = TopState(
      time: 1_093_600, clock: "14:03:07", interval: .seconds(2),
      service: .read(
        .init(reading: reading, problem: ""),
        from: .http(.init(isVersion6: false, port: 9816)),
        ReadingChange(from: before, to: reading, seconds: 2)))
    state.period = .interval(.seconds(2))
    state.status = status
    state.rows = status.rows
    state.levels = LevelRow.all(reading.levels, status.rows)
    return state
  }

  private static func durations(
    _ bounds: [Double], _ counts: [UInt64], _ count: UInt64
  ) -> ServiceReading.Durations {
    var durations = ServiceReading.Durations()
    (durations.bounds, durations.counts, durations.count) = (bounds, counts, count)
    return durations
  }

  private func text(_ state: TopState, _ columns: Int, _ rows: Int, keys: Bool = true) -> String {
    var view = TopView(state: state, columns: columns, rows: rows)
    view.hasKeys = keys
    return view.lines.map(\.text).joined(separator: "\n")
  }

  @Test func `80 columns and 24 lines`() {
    #expect(
      text(Self.state, 80, 24) == """
        reservoir /dev/hugepages/holdfast                            14:03:07  every 2 s
        ready 48G, leased 20G, filling 8G; 1,024 free pages of 2M
        service healthy, started 1d 02h ago, at http://127.0.0.1:9816/metrics

        LEVEL  READY  WANTED  LEASED  FILLING
        10G        4       4       2        0  [####################]  reached
        8G@1       1       8       0        1  [##------------------]  7 missing

        LAST 2 s     PER S  BYTES/S  TOTAL      P50       P99
        leases           1      10G      7  ≤ 50 µs  > 100 µs
        lease waits      0        -      0        -         -
        fills          0.5       5G     10  ≤ 2.5 s   ≤ 2.5 s
        recycles         0        0      0        -         -
        collections      0        0      0        -         -
        releases         0        0      3        -         -
        failures         1        -      2        -         -
        failed: lease noReadyMemory 2 (+2)

        LEASE  SIZE  NODE  USER   KIND     AGE
        db      10G     -  1000  lease     42s
        web     10G     -     0    run  2h 05m


        q quit   p pause   ? help
        """)
  }

  @Test func `40 columns and 10 lines`() {
    #expect(
      text(Self.state, 40, 10) == """
        reservoir /dev/hugepages/hold…  14:03:07
        ready 48G, leased 20G, filling 8G; 1,024
        service healthy, started 1d 02h ago, at
        LEVEL  READY  WANTED  LEASED  FILLING
        10G        4       4       2        0
        8G@1       1       8       0        1
        LAST 2 s     PER S  TOTAL       P99
        leases           1      7  > 100 µs
        lease waits      0      0         -
        """)
  }

  @Test func `132 columns and 50 lines`() {
    var state = Self.state
    state.status?.isComplete = false
    state.status?.foreign = ["/dev/hugepages/holdfast/ready/\u{1B}[2J: not the owner's", "x"]
    state.status?.leases = (1...6).map { number in
      Self.lease(String(repeating: "long-", count: 20) + "\(number)", seconds: Int64(number) * 4000)
    }
    state.service = .unknown("no service listens at 127.0.0.1:9816")
    state.levelSource = "/etc/holdfast/reservoir.conf"
    state.leases = .init(begun: 3, ended: 1)
    let name = String(repeating: "long-", count: 19) + "lon…"
    func gap(_ count: Int) -> String { String(repeating: " ", count: count) }
    let empty = String(repeating: "\n", count: 27)
    #expect(
      text(state, 132, 50) == """
        reservoir /dev/hugepages/holdfast\(gap(80))14:03:07  every 2 s
        ready 48G, leased 20G, filling 8G; 1,024 free pages of 2M
        no metrics of a service: no service listens at 127.0.0.1:9816
        leases of other users are not counted
        foreign file: /dev/hugepages/holdfast/ready/?[2J: not the owner's (and 1 more)
        the levels are those of /etc/holdfast/reservoir.conf

        LEVEL  READY  WANTED  LEASED  FILLING
        10G        4       4       2        0  [####################]  reached
        8G@1       1       8       0        1  [##------------------]  7 missing

        LAST 2 s      SEEN
        leases begun     3
        leases ended     1

        LEASE\(gap(96))SIZE  NODE  USER   KIND     AGE
        \(name)   10G     -     0  lease  1h 06m
        \(name)   10G     -     0  lease  2h 13m
        \(name)   10G     -     0  lease  3h 20m
        \(name)   10G     -     0  lease  4h 26m
        \(name)   10G     -     0  lease  5h 33m
        \(name)   10G     -     0  lease  6h 40m\(empty)
        q quit   p pause   ? help
        """)
  }

  @Test func `no levels and no files`() {
    var state = Self.state
    state.status?.rows = []
    state.status?.leases = []
    state.rows = []
    state.levels = []
    state.service = .unknown("why")
    #expect(
      text(state, 80, 24, keys: false) == """
        reservoir /dev/hugepages/holdfast                            14:03:07  every 2 s
        ready 0, leased 0, filling 0; 1,024 free pages of 2M
        no metrics of a service: why

        LEVEL  READY  WANTED  LEASED  FILLING
        no memory is ready, leased or being filled
        """)
  }

  @Test func `thousands of leases are cut`() {
    var state = Self.state
    state.status?.leases = (0..<5000).map { Self.lease("vm\($0)", seconds: Int64($0)) }
    let lines = text(state, 80, 24).split(separator: "\n", omittingEmptySubsequences: false)
    #expect(lines.count == 24 && lines.contains { $0.hasPrefix("vm0 ") })
    let shown = lines.count { $0.hasPrefix("vm") }
    let count = 5000 - shown
    #expect(lines.contains("and \(grouped(UInt64(count))) more"), "\(lines)")
    // All of them where there is no limit.
    let all = text(state, TopView.unlimited, TopView.unlimitedRows, keys: false)
    #expect(all.split(separator: "\n").count { $0.hasPrefix("vm") } == 5000)
    #expect(!all.contains("more"))
  }

  @Test func `control characters do not reach the terminal`() {
    var state = Self.state
    state.status?.path = "/tmp/\u{1B}]0;x\u{7}\n/holdfast"
    state.status?.leases = [Self.lease("a\u{1B}[31m\u{202E}\r\n\u{9B}b", seconds: 1)]
    state.problem = "x\ny"
    for paints in [false, true] {
      for line in TopView(state: state, columns: 80, rows: 24).lines {
        var shown = paints ? line.paintedText : line.text
        if paints {
          shown = shown.replacing(#/\u{1B}\[[0-9]*m/#, with: "")
        }
        let isPrintable = shown.unicodeScalars.allSatisfy { $0.isPrintable }
        #expect(isPrintable, "\(shown)")
      }
    }
    #expect(text(state, 80, 24).contains("a?[31m????b"))
  }

  @Test func `colors add no text`() {
    let view = TopView(state: Self.state, columns: 80, rows: 24)
    for line in view.lines {
      var plain = line.paintedText.replacing(#/\u{1B}\[[0-9]*m/#, with: "")
      while plain.last == " " { plain.removeLast() }
      #expect(plain == line.text)
    }
    #expect(view.lines.contains { $0.paintedText.contains("\u{1B}[33m") })
  }

  /// Each size from nothing on: no trap, and never too much.
  @Test func `every size`() {
    var state = Self.state
    state.status?.leases = (0..<40).map { Self.lease("机器\($0)e\u{301}", seconds: Int64($0)) }
    state.status?.foreign = ["x"]
    for columns in [0, 1, 2, 7, 19, 20, 39, 59, 60, 61, 79, 80, 200] {
      for rows in 0...60 {
        var view = TopView(state: state, columns: columns, rows: rows)
        view.hasKeys = true
        let lines = view.lines
        #expect(lines.count <= rows)
        for line in lines { #expect(line.text.columns <= columns, "\(columns) \(line.text)") }
      }
    }
    #expect(TopView.help(columns: 30, rows: 4).count == 4)
  }

  @Test(
    arguments: [
      (-5, "0s"), (59, "59s"), (60, "1m 00s"), (3599, "59m 59s"), (7_500, "2h 05m"),
      (93_600, "1d 02h"), (.max, "106751991167300d 15h"),
    ] as [(Int64, String)])
  func ages(_ seconds: Int64, _ text: String) {
    #expect(TopView.age(seconds) == text)
  }

  @Test(
    arguments: [
      (0, "0"), (1023, "1,023"), (1024, "1K"), (1.5 * 1024 * 1024, "1.5M"),
      (10 * 1_073_741_824, "10G"),
      (.infinity, "1,000,000,000,000,000T"),
    ] as [(Double, String)])
  func amounts(_ bytes: Double, _ text: String) {
    #expect(TopView.amount(bytes) == text)
  }

  @Test func `leases that began and ended are counted by their names`() {
    let before = [
      Self.lease("a", seconds: 5), Self.lease("b", seconds: 5),
      Self.lease("c", user: 1, seconds: 5),
    ]
    let after = [
      Self.lease("a", seconds: 7), Self.lease("b", seconds: 1), Self.lease("c", seconds: 7),
    ]
    #expect(TopState.LeaseChange(from: before, to: after) == .init(begun: 2, ended: 2))
    #expect(TopState.LeaseChange(from: [], to: after) == .init(begun: 3, ended: 0))
    // Names in the folders are unique for a user; more must not trap.
    #expect(TopState.LeaseChange(from: after + after, to: after).begun == 0)
  }

  @Test(
    arguments: [
      ("q", "q"), ("\u{1B}[A ", " "), ("p\u{1B}[1;5Cq", "pq"), ("\u{1B}OPq", "q"), ("\u{1B}q", "q"),
      ("\u{1B}", ""), ("\u{1B}[", ""), ("\u{1B}[1", ""), ("\u{1B}O", ""), ("", ""),
    ])
  func `keys that are sequences are skipped`(_ text: String, _ keys: String) {
    #expect(String(TopScreen.plainKeys(text)) == keys)
  }

  @Test func `every text is plain English`() {
    let help = TopView.help(columns: 200, rows: 50).map(\.text).joined(separator: "\n")
    for text in [text(Self.state, 200, 60), help] {
      #expect(PlainEnglish.bannedPhrases(in: text) == [])
    }
  }
}
