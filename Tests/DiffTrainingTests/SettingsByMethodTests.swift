import DiffTraining
import Testing

@Suite struct SettingsByMethodTests {
  @Test(
    "the rate of a fixed selection follows the density, unless it is given",
    arguments: [(1e-4, 0.0381), (1e-3, 0.00854), (5e-3, 3e-3), (0.1, 4.27e-4), (1, 9.58e-5)])
  func rule(density: Double, rate: Double) {
    var options = TrainingOptions()
    options.density = density
    options.method = .magnitude
    #expect(abs(options.usedFixedLearningRate / rate - 1) < 0.005)
    options.method = .structured
    #expect(abs(options.usedFixedLearningRate / rate * 3 - 1) < 0.005)
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

  @Test("all methods have six rounds, of which they spend three on each of two stages")
  func rounds() {
    for method in TrainingOptions.Method.allCases {
      var options = TrainingOptions()
      options.method = method
      let each = method.hasTwoStages ? 3 : 6
      #expect((options.usedEpochs, options.usedFixedEpochs) == (each, each))
      options.epochs = 1
      #expect((options.usedEpochs, options.usedFixedEpochs) == (1, each))
    }
  }

  @Test("all weights learn more slowly than those with gates")
  func rates() {
    var options = TrainingOptions()
    #expect(options.usedLearningRate == 1e-4)
    options.method = .magnitude
    #expect(options.usedLearningRate == 5e-5)
    options.learningRate = 1
    #expect(options.usedLearningRate == 1)
  }
}
