import HoldfastTestKit
import Testing

@testable import HoldfastPlot

struct AxisTests {
  @Test(
    arguments: [
      (1.0, 5, 0.2), (16, 5, 5), (100, 5, 20), (2, 10, 0.2), (30, 5, 10), (0.003, 5, 0.001),
      (0, 5, 1), (1e-305, 5, 1), (.infinity, 5, 1), (.nan, 5, 1),
    ] as [(Double, Int, Double)])
  func `steps of axes are round`(range: Double, ticks: Int, step: Double) {
    #expect((Axis.step(range, ticks: ticks) - step).magnitude < step / 1e6)
  }

  @Test func `steps of bytes are powers of two`() {
    #expect(Axis.step(3 * 1_073_741_824, ticks: 5, binary: true) == 1_073_741_824)
    #expect(Axis.step(5 * 1_048_576, ticks: 5, binary: true) == 1_048_576)
  }

  private func labels(_ axis: Axis, _ values: [Double], count: Int = 10) -> [String] {
    axis.range(of: values, count: count).ticks.compactMap(\.label)
  }

  @Test func `linear axes begin at zero and have labels in one unit`() {
    #expect(
      labels(Axis("", .seconds), [0.013, 0.047], count: 5)
        == ["0", "10 ms", "20 ms", "30 ms", "40 ms", "50 ms"])
    #expect(
      labels(Axis("", .bytes), [3 * 1_073_741_824], count: 4) == ["0", "1 GiB", "2 GiB", "3 GiB"])
    #expect(
      labels(Axis("", .seconds), [0.7], count: 4) == ["0", "200 ms", "400 ms", "600 ms", "800 ms"])
    #expect(labels(Axis("", .seconds), [1.4], count: 4) == ["0", "0.5 s", "1.0 s", "1.5 s"])
    #expect(labels(Axis("", .percent, high: 100), [5], count: 5).last == "100 %")
    #expect(labels(Axis("", high: 64, step: 16), [5]) == ["0", "16", "32", "48", "64"])
    #expect(labels(Axis(""), [-3, 4], count: 5) == ["-4", "-2", "0", "2", "4"])
    #expect(labels(Axis("", low: 40), [41, 44], count: 5) == ["40", "41", "42", "43", "44"])
  }

  @Test func `powers of ten have labels, and their multiples lines`() {
    let range = Axis("", .seconds, .logarithmic).range(of: [0.00003, 1.2], count: 10)
    #expect(range.low == 2e-5 && range.high == 2 && range.isLogarithmic)
    #expect(
      range.ticks.compactMap(\.label) == ["100 us", "1 ms", "10 ms", "100 ms", "1 s"])
    // 20 to 90 us, four decades of eight, and 2 s.
    #expect(range.ticks.count { $0.label == nil } == 8 + 4 * 8 + 1)
    let expected = [2e-5, 3e-5, 4e-5, 5e-5, 6e-5, 7e-5, 8e-5, 9e-5, 1e-4, 2e-4]
    #expect(Array(range.ticks.map(\.value).prefix(10)) == expected)
  }

  @Test func `a short range has labels at 1, 2 and 5 times a power`() {
    let axis = Axis("", .seconds, .logarithmic)
    #expect(labels(axis, [0.0031, 0.012]) == ["2 ms", "5 ms", "10 ms", "20 ms"])
    // One value is not at an edge.
    #expect(labels(axis, [0.001]) == ["100 us", "200 us", "500 us", "1 ms"])
  }

  @Test func `a long range has fewer labels`() {
    let axis = Axis("", .seconds, .logarithmic)
    #expect(labels(axis, [1e-9, 1], count: 4) == ["1 ns", "1 us", "1 ms", "1 s"])
  }

  @Test func `bytes have labels at powers of two`() {
    let axis = Axis("", .bytes, .logarithmic)
    let gibibyte = 1_073_741_824.0
    #expect(
      labels(axis, [gibibyte / 4, 8 * gibibyte])
        == ["256 MiB", "512 MiB", "1 GiB", "2 GiB", "4 GiB", "8 GiB"])
    #expect(
      labels(axis, [gibibyte / 1024, 1024 * gibibyte], count: 3) == ["1 MiB", "1 GiB", "1 TiB"])
  }

  @Test(
    arguments: [
      (.seconds, 1.5e-3, "1.5 ms"), (.seconds, 999.9e-6, "1 ms"), (.seconds, 0.000_01, "10 us"),
      (.seconds, 123.4, "123 s"), (.seconds, 2e-10, "0.2 ns"), (.seconds, 12345, "12300 s"),
      (.seconds, -0.002, "-2 ms"), (.seconds, 0, "0"), (.bytes, 1_073_741_824, "1 GiB"),
      (.bytes, 1023 * 1_048_576, "1020 MiB"), (.bytes, 1536, "1.5 KiB"), (.bytes, 1, "1 B"),
      (.bytesPerSecond, 12.5 * 1_073_741_824, "12.5 GiB/s"), (.count, 9999, "10 k"),
      (.count, 1234, "1230"), (.count, 2.5e6, "2.5 M"), (.percent, 12.34, "12.3 %"),
      (.factor, 2, "2x"), (.factor, 0.051, "0.051x"), (.plain, 3.14159, "3.14"),
      (.plain, 1e300, "1e300"), (.plain, 1.5e-305, "1.5e-305"), (.plain, .nan, "none"),
      (.seconds, .infinity, "infinite"), (.plain, .greatestFiniteMagnitude, "1.8e308"),
    ] as [(Quantity, Double, String)])
  func `numbers have their unit and three digits`(
    quantity: Quantity, value: Double, text: String
  ) {
    #expect(quantity.text(value) == text)
  }

  /// A label, read back, is the tick.
  @Test func `labels of random axes are their numbers`() throws {
    var generator = SeededGenerator(seed: 7)
    for _ in 0..<2000 {
      let exponent = Double(Int(generator.next() % 24)) - 9
      var value = Double(1 + generator.next() % 999)
      for _ in 0..<Int(exponent.magnitude) { value = exponent < 0 ? value / 10 : value * 10 }
      let quantity = [Quantity.seconds, .bytes, .count, .plain][Int(generator.next() % 4)]
      let isLog = generator.next() % 2 == 0
      let axis = Axis("", quantity, isLog ? .logarithmic : .linear)
      let range = axis.range(of: [value, value * 3.7], count: 6)
      #expect(range.low <= value && range.high >= value * 3.7, "\(value) \(range)")
      #expect(zip(range.ticks, range.ticks.dropFirst()).allSatisfy { $0.value < $1.value })
      let labels = range.ticks.filter { $0.label != nil }
      #expect((2...14).contains(labels.count), "\(value) \(range)")
      for tick in labels {
        let words = try #require(tick.label?.split(separator: " "))
        let unit = quantity.units.first { $0.name == (words.count > 1 ? String(words[1]) : "") }
        let number = try #require(Double(words[0]), "\(tick)") * (unit?.size ?? 1)
        #expect((number - tick.value).magnitude <= 0.006 * tick.value.magnitude, "\(tick)")
      }
    }
  }

  @Test func `places on a logarithmic scale are equal for equal factors`() {
    let range = Axis("", .seconds, .logarithmic).range(of: [0.01, 100], count: 10)
    let scale = Scale(range: range, start: 100, end: 500)
    for (value, place) in [(0.01, 100.0), (0.1, 200), (1, 300), (10, 400), (100, 500)] {
      #expect((scale.place(value) - place).magnitude < 1e-9)
    }
    // Beyond the ends: at the ends.
    #expect(scale.place(0) == 100 && scale.place(-5) == 100 && scale.place(.nan) == 100)
    #expect(scale.place(.infinity) == 500 && !scale.contains(0) && !scale.contains(101))
  }
}
