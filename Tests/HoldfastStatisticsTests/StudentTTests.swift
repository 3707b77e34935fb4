import Testing

@testable import HoldfastStatistics

struct StudentTTests {
  /// Reference values from an independent implementation of the distribution.
  @Test(arguments: [
    (4, 95.0, 2.7764451051977934), (18, 95, 2.1009220402410382), (10, 80, 1.372183641110336),
    (60, 99, 2.6602830288550368), (4, 99.8, 7.173182219782307), (4, 99.5, 5.597568367075492),
    (98, 98, 2.3650024104869263), (1, 80, 3.0776835371752544), (2, 90, 2.9199855803537242),
    (1000, 95, 1.9623390808264083), (1, 99.9, 636.6192487687196),
  ])
  func quantile(degreesOfFreedom: Int, percent: Double, expected: Double) throws {
    let student = try StudentT(degreesOfFreedom: degreesOfFreedom)
    let quantile = student.quantile(try Confidence(percent: percent))
    #expect((quantile / expected - 1).magnitude < 1e-12)
  }

  /// Two degrees of freedom have quantiles in closed form.
  @Test(arguments: [80, 85.5, 90, 93.7, 95, 98, 99, 99.5, 99.9])
  func closedForm(percent: Double) throws {
    let confidence = try Confidence(percent: percent)
    let alpha = confidence.significanceLevel
    let two = (2 / (alpha * (2 - alpha)) - 2).squareRoot()
    let quantile = try StudentT(degreesOfFreedom: 2).quantile(confidence)
    #expect((quantile / two - 1).magnitude < 1e-12)
  }

  @Test(arguments: [1, 2, 3, 7, 18, 31, 33, 100, 1000, 100_000, 10_000_000, 1 << 40, .max])
  func quantileInvertsTail(degreesOfFreedom: Int) throws {
    let student = try StudentT(degreesOfFreedom: degreesOfFreedom)
    for percent in [80.0, 90, 95, 98, 99, 99.5, 99.9] {
      let confidence = try Confidence(percent: percent)
      let tail = student.tailProbability(student.quantile(confidence))
      #expect((tail / confidence.significanceLevel - 1).magnitude < 1e-10)
    }
  }

  @Test func manyDegreesOfFreedomApproachTheNormalDistribution() throws {
    let student = try StudentT(degreesOfFreedom: .max)
    #expect((student.quantile(.percent95) - 1.959963984540054).magnitude < 1e-10)
    #expect((student.quantile(.percent99) - 2.5758293035489004).magnitude < 1e-10)
  }

  @Test func tailAtTheEnds() throws {
    let student = try StudentT(degreesOfFreedom: 5)
    #expect(student.tailProbability(0) == 1)
    #expect(student.tailProbability(-2) == student.tailProbability(2))
    #expect(student.tailProbability(.infinity) == 0)
    #expect(student.tailProbability(1e200) == 0)
    #expect(student.tailProbability(.nan).isNaN)
    #expect(student.tailProbability(.leastNonzeroMagnitude) == 1)
  }

  /// The series and the continued fraction meet at t = 4.
  @Test(arguments: [1, 15, 17, 30, 1000, 1_000_000, .max])
  func tailIsContinuous(degreesOfFreedom: Int) throws {
    let student = try StudentT(degreesOfFreedom: degreesOfFreedom)
    let step = student.tailProbability(4) - student.tailProbability(4.0.nextUp)
    #expect(step.magnitude < 1e-10)
  }

  @Test func refusals() {
    #expect(throws: StatisticsError.degreesOfFreedomOutOfRange(0)) {
      try StudentT(degreesOfFreedom: 0)
    }
    #expect(throws: StatisticsError.confidenceOutOfRange(percent: 79)) {
      try Confidence(percent: 79)
    }
    #expect(throws: StatisticsError.self) { try Confidence(percent: .nan) }
  }
}
