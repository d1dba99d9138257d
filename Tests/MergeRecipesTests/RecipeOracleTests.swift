import Checkpoints
import DiffFormat
import DiffOperations
import Kernels
import MergeRecipes
import TensorCore
import Testing
import TestSupport

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Recipes compared with the results of mergekit 0.1.5, made by recipe_oracle.py.
@Suite struct RecipeOracleTests {
  struct Oracle: Decodable {
    struct Recipe: Decodable {
      let name, kind, text: String
      let isRandom: Bool
    }

    let seeds: Int
    let recipes: [Recipe]
  }

  static let folder = Repository.path + "/Tests/MergeRecipesTests/Resources/"
  static let oracle: Oracle? = {
    guard let bytes = try? contents(ofFile: folder + "recipes.json") else { return nil }
    return try? JSONDecoder().decode(Oracle.self, from: Data(bytes))
  }()
  static let recipes = oracle?.recipes ?? []

  /// The recipe as it is run: in the folder of its models.
  private func merge(
    _ recipe: Oracle.Recipe, in scratch: Scratch, seed: UInt64 = 0
  ) throws -> DiffReader {
    var options = MergeOptions()
    options.values = .f32
    options.seed = seed
    let merge = try RecipeMerge(
      MergeRecipe(recipe.text), at: Self.folder + "recipe.yml", scratch: scratch("m.diff"),
      options: options)
    let sink = MemorySink()
    _ = try Diffs.merge(merge.inputs, into: sink, merge.options)
    return try DiffReader(bytes: sink.bytes)
  }

  private func base(_ recipe: Oracle.Recipe) throws -> any Checkpoint {
    try CheckpointFile.open(Self.folder + recipe.kind + "-base.safetensors")
  }

  private func numbers(_ file: any Checkpoint, _ name: String) throws -> [Double]? {
    guard let tensor = file.tensors.first(where: { $0.name == TensorName(name) }) else {
      return nil
    }
    let bytes = try file.bytes(of: tensor)
    guard let float = tensor.type.float else { return bytes.map { Double($0) } }
    return Kernels.widened(bytes.span, float, 0)
  }

  @Test("there are recipes for both models, and for every method")
  func present() throws {
    #expect(Set(Self.recipes.map(\.kind)) == ["llama", "bert"])
    #expect(Set(try Self.recipes.map { try MergeRecipe($0.text).method }).count == 11)
  }

  @Test(
    "applying a recipe's diff gives the exact result within the precision of the type",
    arguments: recipes.indices.filter { !recipes[$0].isRandom })
  func exact(_ number: Int) throws {
    let recipe = Self.recipes[number]
    let results = try CheckpointFile.open(Self.folder + "results.safetensors")
    try Scratch.with { scratch in
      let base = try base(recipe)
      let output = scratch("out.safetensors")
      _ = try Diffs.apply([merge(recipe, in: scratch)], to: base, output: output)
      let made = try CheckpointFile.open(output)
      var (compared, tiedCount) = (0, 0)
      for tensor in base.tensors {
        let float = try #require(tensor.type.float)
        let exact = try #require(try numbers(results, "\(recipe.name) exact \(tensor.name)"))
        let own = try #require(try numbers(results, "\(recipe.name) own \(tensor.name)"))
        let tied = try numbers(results, "\(recipe.name) tied \(tensor.name)")
        let ours = try #require(try numbers(made, "\(tensor.name)"))
        for at in exact.indices {
          if tied?[at] == 1 {
            tiedCount += 1
            continue
          }
          compared += 1
          let unit = ulp(exact[at], float)
          #expect(
            abs(ours[at] - exact[at]) <= unit,
            """
            \(recipe.name) \(tensor.name)[\(at)]: \(ours[at]), exactly \(exact[at]), mergekit's own \
            \(own[at])
            """)
        }
      }
      #expect(compared > 1000 && tiedCount * 4 < compared, "\(recipe.name): \(tiedCount) tied")
    }
  }

  @Test(
    "random methods have mergekit's mean and deviation",
    arguments: recipes.indices.filter { recipes[$0].isRandom })
  func random(_ number: Int) throws {
    let recipe = Self.recipes[number]
    let seeds = try #require(Self.oracle?.seeds)
    let results = try CheckpointFile.open(Self.folder + "results.safetensors")
    let base = try base(recipe)
    try Scratch.with { scratch in
      let diffs = try (0..<seeds).map { try merge(recipe, in: scratch, seed: UInt64($0)) }
      var (far, all, variances, theirVariances) = (0, 0, 0.0, 0.0)
      for tensor in base.tensors {
        let start = try #require(try numbers(base, "\(tensor.name)"))
        let mean = try #require(try numbers(results, "\(recipe.name) mean \(tensor.name)"))
        let deviation = try #require(
          try numbers(results, "\(recipe.name) deviation \(tensor.name)"))
        var sums = [Double](repeating: 0, count: start.count)
        var squares = sums
        for diff in diffs {
          for (at, delta) in try dense(diff, tensor.name, start.count).enumerated() {
            sums[at] += delta
            squares[at] += delta * delta
          }
        }
        for at in start.indices {
          let ours = sums[at] / Double(seeds)
          let variance = max(0, squares[at] / Double(seeds) - ours * ours)
          let error = ((variance + deviation[at] * deviation[at]) / Double(seeds)).squareRoot()
          far += abs(start[at] + ours - mean[at]) > 3 * error + 1e-6 ? 1 : 0
          all += 1
          variances += variance
          theirVariances += deviation[at] * deviation[at]
        }
      }
      // One in 370 is beyond three deviations.
      #expect(Double(far) < 0.01 * Double(all), "\(recipe.name): \(far) of \(all)")
      #expect(abs(variances / theirVariances - 1) < 0.06, "\(recipe.name)")
    }
  }

  private func dense(_ diff: DiffReader, _ name: TensorName, _ count: Int) throws -> [Double] {
    var dense = [Double](repeating: 0, count: count)
    guard let entry = diff.entry(named: name), case .add(let type, let scale) = entry.operation
    else { return dense }
    var pages = diff.pages(of: entry)
    while let page = try pages.next() {
      let numbers = page.numbers(type, scale: scale)
      for i in numbers.indices { dense[Int(page.position(i))] = numbers[i] }
    }
    return dense
  }

  private func ulp(_ number: Double, _ type: FloatType) -> Double {
    let (bits, least) = type == .f16 ? (10, -14) : (7, -126)
    let exponent = number == 0 ? least : max(least, Int(number.exponent))
    return Double(sign: .plus, exponent: exponent - bits, significand: 1)
  }
}
