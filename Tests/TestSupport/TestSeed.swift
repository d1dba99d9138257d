import Foundation

/// The seed of tests with random inputs: the same in every run, unless DIFFKIT_TEST_SEED is a
/// number or `random`. A seed that is not the default is printed, so that the run can be repeated.
package enum TestSeed {
  package static let value: UInt64 = {
    guard let text = ProcessInfo.processInfo.environment["DIFFKIT_TEST_SEED"] else { return 0 }
    let seed = text == "random" ? UInt64.random(in: 0..<1_000_000) : UInt64(text)
    guard let seed else { fatalError("DIFFKIT_TEST_SEED is '\(text)', not a number or 'random'") }
    print("DIFFKIT_TEST_SEED=\(seed)")
    return seed
  }()
}
