import DiffTraining
import Testing

@Suite struct RateByDensityTests {
  @Test(
    "the rate of a fixed selection follows the density, unless it is given",
    arguments: [(1e-4, 0.0381), (1e-3, 0.00854), (5e-3, 3e-3), (0.1, 4.27e-4), (1, 9.58e-5)])
  func rule(density: Double, rate: Double) {
    var options = TrainingOptions()
    options.density = density
    #expect(abs(options.usedFixedLearningRate / rate - 1) < 0.005)
    options.fixedLearningRate = 0.01
    #expect(options.usedFixedLearningRate == 0.01)
  }

  @Test("methods without a density have one rate")
  func withoutDensity() {
    var options = TrainingOptions()
    options.density = 1
    options.method = .bitfit
    #expect(options.usedFixedLearningRate == 3e-3)
  }
}
