import Testing

@testable import HoldfastService

struct MetricsTests {
  @Test func histogram() {
    var histogram = Histogram(Histogram.slow)
    for seconds in [0, 0.001, 0.0011, 1, 299, 301, 1e9] { histogram.add(seconds) }
    #expect(histogram.counts[0] == 2 && histogram.counts[1] == 1 && histogram.counts[6] == 1)
    #expect(histogram.counts[histogram.bounds.count - 1] == 1)
    #expect(histogram.counts[histogram.bounds.count] == 2 && histogram.count == 7)
  }

  @Test func numbersAndLabels() {
    var page = Exposition()
    page.sample("a", ["b": "c\"d\\e\nf", "g": "h"], 1.5)
    page.sample("a", 2.0)
    page.sample("a", UInt64.max)
    #expect(
      page.text == """
        holdfast_reservoir_a{b="c\\"d\\\\e\\nf",g="h"} 1.5
        holdfast_reservoir_a 2
        holdfast_reservoir_a 18446744073709551615

        """)
  }

  @Test func failuresByCode() {
    var metrics = ServiceMetrics()
    metrics.fail("fill", "resourceShortage")
    metrics.fail("fill", "resourceShortage")
    metrics.fail("collect", "host")
    let text = metrics.text(nil, levels: [], isHealthy: false)
    #expect(text.contains("holdfast_reservoir_up 0\n"))
    #expect(
      text.contains("failures_total{operation=\"fill\",code=\"resourceShortage\"} 2\n"))
    #expect(text.contains("failures_total{operation=\"collect\",code=\"host\"} 1\n"))
  }
}
