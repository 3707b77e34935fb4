import Testing

@testable import ReadyMemoryPlugin

struct ServiceMetricsTests {
  private let text = """
    # HELP holdfast_reservoir_up Whether the status of the reservoir could be read.
    # TYPE holdfast_reservoir_up gauge
    holdfast_reservoir_up 1
    # a comment
    # HELP holdfast_reservoir_bytes Size of the files by state, size and node.
    # TYPE holdfast_reservoir_bytes gauge
    holdfast_reservoir_bytes{state="ready",size_bytes="2097152",node="any"} 4194304
    holdfast_reservoir_bytes{state="leased",size_bytes="2097152",node="any"} 2097152
    holdfast_reservoir_bytes{state="leased",size_bytes="4194304",node="0"} 8388608
    # HELP holdfast_reservoir_level_files Files that should be ready, by size and node.
    # TYPE holdfast_reservoir_level_files gauge
    holdfast_reservoir_level_files{size_bytes="2097152",node="any"} 3
    holdfast_reservoir_level_files{size_bytes="4194304",node="0"} 2
    # HELP holdfast_reservoir_lease_seconds Duration of leases.
    # TYPE holdfast_reservoir_lease_seconds histogram
    holdfast_reservoir_lease_seconds_bucket{le="0.001"} 7
    holdfast_reservoir_lease_seconds_bucket{le="+Inf"} 8
    holdfast_reservoir_lease_seconds_sum 0.25
    holdfast_reservoir_lease_seconds_count 8
    # HELP holdfast_reservoir_failures_total Failures by operation and error code.
    # TYPE holdfast_reservoir_failures_total counter
    holdfast_reservoir_failures_total{operation="a\\\\b\\"c\\n}, x=\\"",code="busy"} 1.5e3

    """

  @Test func `the levels and the leases of all users are read`() throws {
    let metrics = try #require(ServiceMetrics(text))
    #expect(metrics.levelBytes == 3 * 2_097_152 + 2 * 4_194_304)
    #expect(metrics.leasedBytes == 2_097_152 + 8_388_608)
    let down = try #require(ServiceMetrics(text.replacing("_up 1\n", with: "_up 0\n")))
    #expect(down.leasedBytes == nil)
    let size = "level_files{size_bytes=\"9223372036854775808\""
    let huge = try #require(
      ServiceMetrics(text.replacing("level_files{size_bytes=\"2097152\"", with: size)))
    #expect(huge.levelBytes == .max)
  }

  @Test func `the text of one service stays as it is`() throws {
    let metrics = try #require(ServiceMetrics(text))
    #expect(
      ServiceMetrics.text([("/dev/hugepages/holdfast", metrics)])
        == text.replacing("# a comment\n", with: ""))
  }

  @Test func `each family of several services is there once, with a label for each`() throws {
    let metrics = try #require(ServiceMetrics(text))
    let both = ServiceMetrics.text([("/a", metrics), ("/b\"c\nd", metrics)])
    let lines = both.split(separator: "\n")
    #expect(Set(lines).count == lines.count)
    #expect(lines.count { $0.hasPrefix("# TYPE ") } == 5)
    #expect(both.contains("holdfast_reservoir_up{reservoir=\"/a\"} 1\n"))
    #expect(both.contains("holdfast_reservoir_up{reservoir=\"/b\\\"c\\nd\"} 1\n"))
    #expect(
      both.contains("{size_bytes=\"2097152\",node=\"any\",reservoir=\"/a\"} 3\n"))
    #expect(ServiceMetrics(both) != nil)
    // Versions that do not agree about a type.
    let other = try #require(
      ServiceMetrics(text.replacing("failures_total counter", with: "failures_total gauge")))
    let mixed = ServiceMetrics.text([("/a", metrics), ("/b", other)])
    #expect(mixed.contains("failures_total{") && !mixed.contains("failures_total gauge"))
  }

  @Test(arguments: [
    "", "x 1", "holdfast_kubernetes_devices 1", "holdfast_reservoir_up", "holdfast_reservoir_up x",
    "holdfast_reservoir_up 1 1", "holdfast_reservoir_up  1", "holdfast_reservoir_up 0x1p3",
    "holdfast_reservoir_up nan", "holdfast_reservoir_up{ 1", "holdfast_reservoir_up{} 1}",
    "holdfast_reservoir_up{a=\"b\" 1", "holdfast_reservoir_up{a=b} 1",
    "holdfast_reservoir_up{a=\"b\\x\"} 1", "holdfast_reservoir_up{a=\"b\\\"} 1",
    "holdfast_reservoir_up{a=\"1\",a=\"2\"} 1", "holdfast_reservoir_up{0a=\"1\"} 1",
    "holdfast_reservoir_up{=\"1\"} 1", "holdfast_reservoir_up_sum 1", "holdfast_reservoir_bytes 1",
    "holdfast_reservoir_up 1\u{7}", "holdfast_reservoir_up 1\r",
    "holdfast_reservoir_up{a=\"\u{0}\"} 1",
    "# TYPE holdfast_reservoir_up gauge", "# HELP holdfast_reservoir_up again",
    "# TYPE other_metric gauge", "# TYPE holdfast_kubernetes_devices gauge",
    "# TYPE holdfast_reservoir_x strange", "# TYPE holdfast_reservoir_é gauge",
  ])
  func `one line of another form spoils all`(line: String) {
    let head = "# HELP holdfast_reservoir_up x\n# TYPE holdfast_reservoir_up gauge\n"
    let text = head + "holdfast_reservoir_up{a=\"2\"} 2\n"
    #expect(ServiceMetrics(text) != nil)
    #expect(ServiceMetrics(text + line) == nil || line.isEmpty)
    #expect(ServiceMetrics(line) == nil || line.hasPrefix("#"))
  }

  @Test func `a sample has at most 32 labels`() {
    func text(_ count: Int) -> String {
      let labels = (0..<count).map { "a\($0)=\"1\"" }.joined(separator: ",")
      return "# TYPE holdfast_reservoir_up gauge\nholdfast_reservoir_up{\(labels)} 1\n"
    }
    #expect(ServiceMetrics(text(32)) != nil)
    #expect(ServiceMetrics(text(33)) == nil)
    // A megabyte of labels takes no time.
    let time = ContinuousClock().measure { #expect(ServiceMetrics(text(90_000)) == nil) }
    #expect(time < .seconds(5))
  }

  @Test func `random changes of the text never trap, and what is read is read again`() {
    var random = SystemRandomNumberGenerator()
    var read = 0
    for _ in 0..<3000 {
      var bytes = Array(text.utf8)
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        bytes[Int.random(in: bytes.indices, using: &random)] = UInt8.random(in: 0...255)
      }
      guard let metrics = ServiceMetrics(String(decoding: bytes, as: UTF8.self)) else { continue }
      read += 1
      _ = (metrics.levelBytes, metrics.leasedBytes)
      #expect(ServiceMetrics(ServiceMetrics.text([("/a", metrics)])) == metrics)
    }
    #expect(read > 0)
  }
}
