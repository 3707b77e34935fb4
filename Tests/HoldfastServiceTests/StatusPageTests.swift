import HoldfastCore
import Testing

@testable import HoldfastReservoir
@testable import HoldfastService

/// The history and the page of the service.
struct StatusPageTests {
  private func reading(
    leases: UInt64 = 0, started: Double = 1000, levels: [ServiceConfiguration.Level] = []
  ) -> ServiceReading {
    var reading = ServiceReading()
    reading.started = started
    reading.levels = levels
    var durations = ServiceReading.Durations()
    durations.bounds = [0.001, 1]
    durations.counts = [leases, leases]
    durations.count = leases
    reading.durations[.lease] = durations
    return reading
  }

  @Test func `the history keeps the last hour`() {
    var history = History()
    for index in 0..<1000 {
      history.add(
        reading(leases: UInt64(index * 3)), time: Double(2000 + index * 10),
        moment: UInt64(index) * 10_000_000_000)
      #expect(history.count == min(index + 1, History.capacity))
    }
    let samples = history.samples
    #expect(samples.count == 360 && samples.map(\.time) == samples.map(\.time).sorted())
    #expect(samples.last?.time == 11_990 && samples.first?.time == 8_400)
    #expect(samples.allSatisfy { $0.leases == 3 && $0.seconds == 10 })
    #expect(samples.last?.leaseP50Seconds == 0.001)
  }

  @Test func `the first sample has what was done since the start`() {
    var history = History()
    history.add(reading(leases: 30, started: 1990), time: 2000, moment: 5)
    #expect(history.samples[0].leases == 30 && history.samples[0].seconds == 10)
    // The service's clock may have been set, and a reading may lack its start.
    history.add(reading(leases: 31, started: 1990), time: 100, moment: 1)
    #expect(history.samples[1].leases == 1 && history.samples[1].seconds == 0)
  }

  @Test func `a sample is bounded`() {
    let levels = (1...1000).map {
      ServiceConfiguration.Level(count: 1, size: .mebibytes(UInt64($0)))
    }
    var history = History()
    history.add(reading(levels: levels), time: 2000, moment: 1)
    #expect(history.samples[0].ready.count == History.mostLevels)
    #expect(history.samples[0].wanted.count == History.mostLevels)
    let page = page(history, reading(levels: levels))
    #expect(page.contains("and 900 more") && page.utf8.count < 200_000)
  }

  private func page(
    _ history: History, _ reading: ServiceReading, path: String = "/dev/hugepages/holdfast",
    problem: String? = nil
  ) -> String {
    StatusPage(reading: reading, history: history, path: path, problem: problem, time: 2000).html
  }

  @Test func `the page has the numbers and the graphs`() {
    var reading = reading(leases: 5, levels: [.init(count: 4, size: .gibibytes(10))])
    reading.rows = [.init(size: .gibibytes(10), ready: 3, leased: 1)]
    reading.failures[.init(operation: "lease", code: "noReadyMemory")] = 2
    #expect(page(History(), reading).contains("There is no sample yet"))
    var history = History()
    for index in 0..<5 {
      history.add(reading, time: Double(1950 + index * 10), moment: UInt64(index) * 10_000_000_000)
    }
    let text = page(history, reading)
    for words in [
      "Healthy.", "1 missing", "4x10G", "noReadyMemory", "<svg", "Duration of leases",
      "minutes before now",
    ] { #expect(text.contains(words), "\(words)") }
    #expect(page(history, reading, problem: "why").contains("Not healthy:"))
    // Samples from before a change of the clock are not drawn.
    var old = History()
    old.add(reading, time: 90_000, moment: 1)
    #expect(page(old, reading).contains("There is no sample yet"))
  }

  @Test func `texts of others are escaped`() {
    let hostile = "</title><script>alert(1)</script>&\"'\u{1B}[31m\u{202E}"
    var reading = reading()
    reading.failures[.init(operation: hostile, code: hostile)] = 1
    let text = page(History(), reading, path: hostile, problem: hostile)
    #expect(!text.contains("<script") && !text.contains("\u{1B}") && !text.contains("\u{202E}"))
    #expect(text.contains("&lt;script&gt;alert(1)"))
  }

  @Test func `the page loads nothing and runs nothing`() {
    let text = page(History(), reading(levels: [.init(count: 4, size: .gibibytes(10))]))
    for words in ["<script", "<link", "<img", "<iframe", "http://", "url(", "@import", "onload"]
    where words != "http://"
      || text.replacing("http://www.w3.org/2000/svg", with: "")
        .contains(words)
    {
      #expect(!text.contains(words), "\(words)")
    }
  }

  @Test func `the data has every key`() throws {
    var history = History()
    history.add(reading(leases: 1), time: 2000, moment: 1)
    let report = PageReport(
      reading(leases: 1, levels: [.init(count: 4, size: .gibibytes(10))]), history, path: "/x\"",
      problem: nil, time: 2001)
    let text = try JSONValue(encoding: CompleteValue(report)).text
    for key in [
      "\"path\":\"/x\\\"\"", "\"isHealthy\":true", "\"problem\":null", "\"wanted\":4",
      "\"node\":null", "\"leaseP99Seconds\":0.001", "\"intervalSeconds\":10",
    ] { #expect(text.contains(key), "\(key): \(text)") }
  }
}
