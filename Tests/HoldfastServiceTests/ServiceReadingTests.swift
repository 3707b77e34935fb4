import HoldfastCore
import HoldfastTestKit
import Testing

@testable import HoldfastReservoir
@testable import HoldfastService

/// Views of the metrics: what is read from their text, and what changed between two of them.
struct ServiceReadingTests {
  private func text(_ change: (inout ServiceMetrics) -> Void = { _ in }) -> String {
    var metrics = ServiceMetrics()
    change(&metrics)
    var status = ReservoirStatus(
      path: "/x", pageSize: .mebibytes(2), isHugetlb: true, owner: 0, isComplete: true)
    status.freePages = PageCount(12)
    status.rows = [
      .init(size: .gibibytes(10), node: NodeID(1), ready: 2, leased: 1),
      .init(size: .gibibytes(10), filling: 1), .init(size: .gibibytes(4), ready: 3),
    ]
    return metrics.text(
      status,
      levels: [
        .init(count: 4, size: .gibibytes(10), node: NodeID(1)),
        .init(count: 3, size: .gibibytes(4)),
      ], isHealthy: true)
  }

  @Test func `a reading has what the metrics have`() throws {
    let reading = try #require(
      ServiceReading(
        text {
          for seconds in [1e-5, 1e-5, 3e-4, 100] { $0.leaseSeconds.add(seconds) }
          $0.leasedBytes = .max
          $0.released = 7
          $0.isListening = true
          $0.fail("lease", "noReadyMemory")
        }))
    #expect(reading.isUp && reading.isListening && reading.isHealthy == true)
    #expect(reading.freePages == 12 && (reading.started ?? 0) > 1e9)
    #expect(reading.levels.map(\.description) == ["10G@1", "4G"])
    #expect(reading.levels.map(\.count) == [4, 3])
    #expect(
      reading.rows == [
        .init(size: .gibibytes(10), node: NodeID(1), ready: 2, leased: 1),
        .init(size: .gibibytes(10), filling: 1), .init(size: .gibibytes(4), ready: 3),
      ])
    #expect(reading.counters[.leasedBytes] == .max && reading.counters[.released] == 7)
    #expect(Set(reading.counters.keys) == Set(ServiceReading.Counter.allCases))
    #expect(Set(reading.durations.keys) == Set(ServiceReading.Timed.allCases))
    #expect(reading.failures == [.init(operation: "lease", code: "noReadyMemory"): 1])
    let leases = try #require(reading.durations[.lease])
    #expect(leases.count == 4 && leases.bounds == Histogram.quick)
    #expect(leases.bound(ofPart: 0.5) == 5e-5 && leases.bound(ofPart: 0.75) == 5e-4)
    #expect(leases.bound(ofPart: 0.99) == .infinity)
    #expect(reading.durations[.fill]?.bound(ofPart: 0.5) == nil)
  }

  @Test(
    arguments: [
      "", "# HELP x\n", "x 1\n", "<html>", "holdfast_reservoir_up", "holdfast_reservoir_up one\n",
      "holdfast_reservoir_up{a=\"b} 1\n", "holdfast_reservoir_up{a=\"\\", "holdfast_reservoir_up{",
      "holdfast_reservoir_up{a=\"b\",a=\"c\"} 1\n",
    ])
  func `other texts are no reading`(_ text: String) {
    #expect(ServiceReading(text) == nil)
  }

  @Test func `labels are read with their escapes`() throws {
    let sample = try #require(ExpositionSample("a{b=\"c\\\"d\\\\e\\nf\",g=\"\"} 1.5"))
    #expect(sample.labels == ["b": "c\"d\\e\nf", "g": ""] && sample.value == 1.5)
  }

  @Test func `random texts are read or refused`() {
    var fuzz = Fuzz(
      "metrics",
      like: [
        text { $0.fail("a", "b") },
        "holdfast_reservoir_up 1\nholdfast_reservoir_files{state=\"ready\",size_bytes=\"1\"} 1e300\n",
        "holdfast_reservoir_up -1\nholdfast_reservoir_lease_seconds_bucket{le=\"nan\"} -5\n",
        "holdfast_reservoir_up +Inf\nholdfast_reservoir_level_files{size_bytes=\"18446744073709551615\""
          + ",node=\"4294967295\"} 18446744073709551615\n",
      ])
    let first = ServiceReading(text())
    fuzz.texts { text in
      guard let reading = ServiceReading(text) else { return }
      let change = ReadingChange(from: first ?? ServiceReading(), to: reading, seconds: 1)
      _ = ReadingChange(from: reading, to: first ?? ServiceReading(), seconds: 0)
      for durations in change.durations.values { _ = durations.bound(ofPart: 0.99) }
      _ = LevelRow.all(reading.levels, reading.rows)
      _ = MemoryTotals(reading.rows)
      var history = History()
      history.add(reading, time: 0, moment: 0)
      let page = StatusPage(
        reading: reading, history: history, path: text, problem: text, time: 1)
      #expect(!page.html.contains("<script"))
    }
  }

  // MARK: Changes

  @Test func `a change has what was added`() throws {
    let before = try #require(ServiceReading(text { $0.filledBytes = 10 }))
    var after = before
    after.counters[.filledBytes] = 30
    after.failures[.init(operation: "fill", code: "host")] = 2
    var leases = try #require(after.durations[.lease])
    leases.count = 3
    leases.counts = leases.counts.map { _ in 3 }
    after.durations[.lease] = leases
    let change = ReadingChange(from: before, to: after, seconds: 4)
    #expect(change.counters[.filledBytes] == 20 && change.rate(20) == 5)
    #expect(change.failures == [.init(operation: "fill", code: "host"): 2])
    #expect(change.durations[.lease]?.count == 3)
    #expect(change.durations[.lease]?.bound(ofPart: 0.99) == Histogram.quick[0])
    #expect(ReadingChange(from: before, to: after, seconds: 0).rate(20) == 0)
    // A sum of bytes may wrap around.
    var wrapped = before
    wrapped.counters[.filledBytes] = 4
    var large = before
    large.counters[.filledBytes] = .max
    #expect(
      ReadingChange(from: large, to: wrapped, seconds: 1).counters[.filledBytes] == 5)
  }

  @Test func `sums of a service that started again count from 0`() throws {
    var before = try #require(ServiceReading(text()))
    before.durations[.lease]?.count = 100
    before.counters[.leasedBytes] = 1000
    var after = try #require(ServiceReading(text()))
    after.started = (before.started ?? 0) + 60
    after.durations[.lease]?.count = 120
    after.counters[.leasedBytes] = 1200
    let change = ReadingChange(from: before, to: after, seconds: 1)
    #expect(change.durations[.lease]?.count == 120 && change.counters[.leasedBytes] == 1200)
    // Where the start is not known, a count that fell shows it.
    before.started = nil
    after.started = nil
    after.durations[.lease]?.count = 20
    let other = ReadingChange(from: before, to: after, seconds: 1)
    #expect(other.durations[.lease]?.count == 20 && other.counters[.leasedBytes] == 1200)
  }

  // MARK: Levels

  private func levels(
    _ levels: [ServiceConfiguration.Level], _ rows: [ReservoirStatus.Row]
  ) -> [String] {
    LevelRow.all(levels, rows).map {
      "\($0.name) \($0.ready)/\($0.wanted.map { "\($0)" } ?? "-") \($0.leased) \($0.filling)"
    }
  }

  @Test func `files count at their level`() {
    let rows: [ReservoirStatus.Row] = [
      .init(size: .gibibytes(10), node: NodeID(0), ready: 1, leased: 1),
      .init(size: .gibibytes(10), node: NodeID(1), ready: 2, leased: 4),
      .init(size: .gibibytes(10), filling: 1), .init(size: .gibibytes(4), ready: 3),
    ]
    #expect(
      levels([.init(count: 5, size: .gibibytes(10))], rows) == ["10G 3/5 5 1", "4G 3/- 0 0"])
    #expect(
      levels([.init(count: 5, size: .gibibytes(10), node: NodeID(1))], rows)
        == ["10G@1 2/5 4 1", "10G@0 1/- 1 0", "4G 3/- 0 0"])
    #expect(
      levels(
        [
          .init(count: 5, size: .gibibytes(10), node: NodeID(1)),
          .init(count: 6, size: .gibibytes(10)), .init(count: 0, size: .gibibytes(2)),
        ], rows) == ["10G@1 2/5 4 0", "10G 3/6 1 1", "2G 0/0 0 0", "4G 3/- 0 0"])
    #expect(levels([], []) == [])
  }

  @Test func `sums of absurd numbers stop`() {
    let totals = MemoryTotals([
      .init(size: ByteCount(.max), ready: 2), .init(size: .gibibytes(1), ready: 1, leased: 1),
    ])
    #expect(totals.ready == ByteCount(.max) && totals.leased == .gibibytes(1))
  }

  // MARK: Sources

  @Test(
    arguments: [
      ("127.0.0.1:9816", "http://127.0.0.1:9816/metrics"),
      ("http://localhost:9816/metrics", "http://127.0.0.1:9816/metrics"),
      ("http://[::1]:1/", "http://[::1]:1/metrics"), ("/run/x.prom", "/run/x.prom"),
    ])
  func sources(_ typed: String, _ text: String) throws {
    #expect(try MetricsSource(typed: typed).description == text)
  }

  @Test(arguments: ["", "example.com:80", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:x", "/", "x.prom"])
  func noSources(_ typed: String) {
    #expect(throws: Size.Problem.self) { try MetricsSource(typed: typed) }
  }

  @Test(
    arguments: [
      ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "200 ok"),
      ("HTTP/1.0 503 No\r\n\r\nwhy\n", "503 why\n"), ("HTTP/1.1 200 OK\r\n\r\n", "200 "),
    ])
  func answers(_ text: String, _ expected: String) throws {
    let answer = try #require(LoopbackRequest.answer(Array(text.utf8)))
    #expect("\(answer.status) \(answer.body)" == expected)
  }

  @Test(
    arguments: [
      "", "ok", "HTTP/1.1 200 OK\r\n", "HTTP/2 200 OK\r\n\r\n", "HTTP/1.1 99999 OK\r\n\r\n",
      "HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok",
      "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\nok",
    ])
  func noAnswers(_ text: String) {
    #expect(LoopbackRequest.answer(Array(text.utf8)) == nil)
  }
}
