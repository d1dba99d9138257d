import DiffTraining
import Platform
import Testing

@Suite struct DensityControllerTests {
  /// Simulates many gates at one location, which moves at a speed that rises with the penalty and
  /// has a limit, as under Adam.
  @Test(
    "gates end near the target, whatever the effect of the penalty",
    arguments: [0.001, 0.005, 0.05], [300, 800, 3000])
  func densityIsReached(target: Double, steps: Int) {
    for sensitivity in [0.01, 1, 100] {
      var controller = DensityController(target: target, elements: 1000, steps: steps)
      var (location, speed) = (5.0, 0.0)
      var chance: Double { 1 / (1 + exp(-location)) }
      for step in 0..<steps {
        let pull = controller.lambda * chance * (1 - chance) * sensitivity
        speed = 0.9 * speed + 0.1 * pull / (1 + pull * pull).squareRoot()
        location -= 0.1 * speed
        controller.update(
          step: step,
          found: GatedParameters.Measure(
            gateNorm: 1000, twiceOpenDensity: chance * chance, seenDensity: 1))
        if Double(step) < 0.2 * Double(steps) - 1 { #expect(controller.lambda == 0) }
      }
      let found = chance * chance / target
      #expect((0.5...1.5).contains(found), "sensitivity \(sensitivity): \(found) of the target")
    }
  }
}
