import DiffFormat
import DiffOperations
import MergeRecipes
import SystemSupport
import TensorCore

// Merging with a recipe.
extension MergeCommand {
  /// The path of the recipe; nil if diffs are given instead.
  var recipePath: String? {
    get throws {
      guard let path = diffs.first, path != "-",
        [".yml", ".yaml", ".json"].contains(where: { path.hasSuffix($0) }), try !isDiff(path)
      else { return nil }
      guard diffs.count == 1 else {
        throw DiffError(
          .usage, "is a recipe, which names its own diffs; give it alone", path: path)
      }
      return path
    }
  }

  /// Merges with a recipe.
  func merge(recipe path: String, to output: String) throws {
    try refuseRecipeOptions()
    let recipe = try MergeRecipe(contentsOf: path)
    try refuseInapplicableOptions(to: recipe.method)
    var options = options
    options.values = values ?? .f32
    let merge: RecipeMerge
    do throws(DiffError) {
      merge = try RecipeMerge(
        recipe, at: path, scratch: output == "-" ? "/tmp/diffkit" : output, options: options,
        progress: report.progress.show)
    } catch {
      throw error.at(path: path)
    }
    if output != "-" {
      try check(output: output, isNoneOf: [path] + merge.inputs.compactMap(\.diff.path))
    }
    try refuseUnusedRows(merge.inputs.map(\.diff))
    try self.merge(
      merge.inputs, merge.options, to: output, notes: merge.notes, locate: merge.locating)
  }

  /// Refuses options that are set by the recipe, or exclude one.
  private func refuseRecipeOptions() throws {
    guard tune.isEmpty else {
      throw DiffError(.usage, "--tune and a recipe, which has its own weights, exclude each other")
    }
    let specified = [
      ("--method", method != nil), ("--weights", !weights.isEmpty), ("--scale", scale != nil),
      ("--density", density != nil), ("--densities", !densities.isEmpty),
      ("--density-of", densityOf != nil), ("--normalize", normalize != nil),
      ("--variant", variant != nil), ("--rescale", rescale != nil), ("--epsilon", epsilon != nil),
      ("--base", base != nil), ("--gamma", gamma != nil), ("--ram-r", ramRate != nil),
      ("--ram-alpha", ramLimit != nil),
    ]
    guard let option = specified.first(where: \.1)?.0 else { return }
    throw DiffError(.usage, "\(option) is set by the recipe; change it there", path: diffs[0])
  }

  /// Prints the recipe of a diff.
  func showRecipe() throws {
    guard diffs.count == 1, outputs.output == nil else {
      throw DiffError(.usage, "--show takes one diff and no output")
    }
    let diff = try openDiff(diffs[0])
    guard let recipe = diff.metadata["diffkit.merge.recipe"] else {
      throw DiffError(
        .usage, "was not merged with a recipe; 'inspect' shows its metadata", path: diffs[0])
    }
    try RecipeOutput(diff: diffs[0], recipe: recipe).print(json: report.json.json)
  }
}

/// The recipe of a diff.
private struct RecipeOutput: CommandOutput {
  let diff, recipe: String

  /// The exact text; on a terminal without control characters that could affect it.
  var text: String {
    guard Terminal.isTerminal else { return recipe }
    let text = recipe.replacing("\r\n", with: "\n")
      .split(separator: "\t", omittingEmptySubsequences: false)
      .map { String($0).escapingControls(but: "\n") }.joined(separator: "\t")
    return text.hasSuffix("\n") ? text : text + "\n"
  }
}
