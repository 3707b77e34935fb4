import Testing

@testable import HoldfastBench

struct NumberTests {
  @Test(
    arguments: [
      ([], nil), ([3], 3), ([4, 1], 4), ([9, 1, 5], 5), ([2, 8, 4, 6], 6), ([7, 7, 7], 7),
    ] as [([Double], Double?)])
  func medians(_ values: [Double], _ middle: Double?) {
    #expect(median(values) == middle)
  }

  @Test(
    arguments: [
      (0, "0.00"), (0.004, "0.00"), (0.05, "0.05"), (1, "1.00"), (9.994, "9.99"), (9.996, "10.0"),
      (12.34, "12.3"), (99.94, "99.9"), (99.96, "100"), (1234.5, "1235"), (.infinity, "-"),
      (.nan, "-"), (1e300, "1e+300"),
    ] as [(Double, String)])
  func numbers(_ value: Double, _ text: String) {
    #expect(number(value) == text)
  }

  @Test(
    arguments: [
      (0, "0.00 ns"), (2.5e-9, "2.50 ns"), (999.4e-9, "999 ns"), (999.6e-9, "1.00 us"),
      (45.6e-6, "45.6 us"), (0.00123, "1.23 ms"), (0.9994, "999 ms"), (0.9996, "1.00 s"),
      (12.5, "12.5 s"), (1234, "1234 s"),
    ] as [(Double, String)])
  func times(_ seconds: Double, _ text: String) {
    #expect(time(seconds) == text)
  }
}
