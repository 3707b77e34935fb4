import Testing

@testable import HoldfastPlot

@Suite struct AxisTests {
  @Test(
    arguments: [
      (1.0, 5, 0.2), (16, 5, 5), (100, 5, 20), (2, 10, 0.2), (30, 5, 10), (0.003, 5, 0.001),
      (0, 5, 1),
    ] as [(Double, Int, Double)])
  func `steps of axes are round`(range: Double, ticks: Int, step: Double) {
    #expect((Axis.step(range, ticks: ticks) - step).magnitude < step / 1e6)
  }
}
