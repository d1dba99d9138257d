import DiffFormat
import DiffOperations
import TensorCore
import Testing
import TestSupport

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Merging compared with the formulas in NumPy, and with mergekit, PEFT and ties-merging, as run by
/// merge_oracle.py.
@Suite struct MergeOracleTests {
  struct Oracle: Decodable {
    struct Tensor: Decodable {
      let name: String
      let shape: [UInt64]
    }

    struct Case: Decodable {
      let source: String
      let options: Options
      let result: [String: [Double]]
    }

    struct Options: Decodable {
      let method: String
      let variant, densityOf: String?
      let weights: [Double]?
      let scale, density, gamma, ramRate, ramLimit: Double?
    }

    let tensors: [Tensor]
    let deltas: [[String: [Double]]]
    let cases: [Case]
  }

  static let oracle: Oracle? = {
    let path = Repository.path + "/Tests/DiffOperationsTests/Resources/merge_oracle.json"
    guard let bytes = try? contents(ofFile: path) else { return nil }
    return try? JSONDecoder().decode(Oracle.self, from: Data(bytes))
  }()

  private func diff(_ deltas: [String: [Double]], _ oracle: Oracle) throws -> DiffReader {
    try additiveDiff(
      oracle.tensors.map { (TensorName($0.name), $0.shape, deltas[$0.name] ?? []) }, values: .f32)
  }

  private func options(_ options: Oracle.Options) throws -> MergeOptions {
    var all = MergeOptions()
    all.method = try #require(MergeMethod(rawValue: options.method))
    all.variant = options.variant.flatMap { SignVariant(rawValue: $0) } ?? .reference
    all.density = options.density
    all.densityOf = options.densityOf.flatMap { DensityBase(rawValue: $0) }
    all.scale = options.scale ?? 1
    all.gamma = options.gamma ?? all.gamma
    all.ramRate = options.ramRate ?? all.ramRate
    all.ramLimit = options.ramLimit ?? all.ramLimit
    all.values = .f32
    return all
  }

  @Test("the oracle has cases of every source")
  func present() throws {
    let oracle = try #require(Self.oracle)
    #expect(Set(oracle.cases.map(\.source)) == ["NumPy", "mergekit", "PEFT", "ties-merging"])
    #expect(oracle.cases.count > 45)
  }

  @Test(
    "merging gives what NumPy, mergekit, PEFT and ties-merging give",
    arguments: 0..<(oracle?.cases.count ?? 0))
  func merges(_ number: Int) throws {
    let oracle = try #require(Self.oracle)
    let one = oracle.cases[number]
    let inputs = try oracle.deltas.enumerated().map {
      MergeInput(try diff($1, oracle), weight: one.options.weights?[$0] ?? 1)
    }
    let sink = MemorySink()
    _ = try Diffs.merge(inputs, into: sink, try options(one.options))
    let merged = try DiffReader(bytes: sink.bytes)
    for tensor in oracle.tensors {
      let expected = try #require(one.result[tensor.name])
      let made = try merged.dense(TensorName(tensor.name), count: expected.count)
      for (index, (a, b)) in zip(made, expected).enumerated() {
        #expect(
          abs(a - b) <= 2e-7 * abs(b) + 1e-15,
          "\(one.source) \(one.options) \(tensor.name)[\(index)]")
      }
    }
  }
}
