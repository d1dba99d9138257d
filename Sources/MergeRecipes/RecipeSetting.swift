import TensorCore

/// A parameter of a recipe: a number, numbers interpolated over the layers, or either of these for
/// tensors whose names contain a string.
struct RecipeSetting: Sendable {
  private struct Case: Sendable {
    /// The string that a name must contain; nil for any name.
    let filter: String?
    /// One number, or the values at equal distances over the layers, interpolated linearly.
    let numbers: [Double]
  }

  private let cases: [Case]
  /// The line of the parameter.
  let line: Int

  /// - Parameter range: the numbers that are allowed.
  /// - Throws: `usage` with the line.
  init(_ node: RecipeNode, in range: ClosedRange<Double>) throws(DiffError) {
    line = node.line
    if let numbers = try Self.numbers(node, in: range) {
      cases = numbers.isEmpty ? [] : [Case(filter: nil, numbers: numbers)]
      return
    }
    var cases: [Case] = []
    for element in node.elements ?? [node] {
      cases.append(try Self.conditional(element, in: range))
    }
    self.cases = cases
  }

  /// Returns the numbers of a value, one or a list; nil for other values.
  private static func numbers(
    _ node: RecipeNode, in range: ClosedRange<Double>
  ) throws(DiffError) -> [Double]? {
    let nodes = node.elements ?? [node]
    let numbers = nodes.compactMap(\.number)
    guard numbers.count == nodes.count else { return nil }
    for (node, number) in zip(nodes, numbers) where !range.contains(number) {
      throw node.refusal(
        "\(number) is out of range: \(range.lowerBound) ... \(range.upperBound)")
    }
    return numbers
  }

  private static func conditional(
    _ node: RecipeNode, in range: ClosedRange<Double>
  ) throws(DiffError) -> Case {
    guard node.text == nil, node.elements == nil, !node.isNull else {
      throw node.refusal("is not a number, a list of numbers, or a 'filter' with a 'value'")
    }
    let members = try node.members("a value with a filter", ["value", "filter"])
    guard let value = members["value"] else { throw node.refusal("lacks a 'value'") }
    guard let numbers = try numbers(value, in: range), !numbers.isEmpty else {
      throw value.refusal("is not a number or a list of numbers")
    }
    guard let filter = members["filter"], !filter.isNull else {
      return Case(filter: nil, numbers: numbers)
    }
    guard let text = filter.text else { throw filter.refusal("a filter must be a string") }
    return Case(filter: text == "*" ? nil : text, numbers: numbers)
  }

  /// True if the number depends on the layer of a tensor.
  var hasGradient: Bool { cases.contains { $0.numbers.count > 1 } }

  /// The number of all tensors; nil if it differs between tensors.
  var constant: Double? {
    guard cases.count == 1, cases[0].filter == nil, cases[0].numbers.count == 1 else { return nil }
    return cases[0].numbers[0]
  }

  /// Returns the number of a tensor at `t`, in 0 ... 1, of the layers: that of the first filter
  /// that its name contains ('/' and '.' are one separator).
  func number(of name: String, at t: Double) -> Double? {
    let fitting = cases.first {
      $0.filter.map { name.contains($0.replacing("/", with: ".")) } ?? true
    }
    guard let numbers = fitting?.numbers else { return nil }
    let scaled = t * Double(numbers.count - 1)
    let first = Int(scaled)
    let second = min(numbers.count - 1, first + 1)
    let part = scaled - Double(first)
    return (1 - part) * numbers[first] + part * numbers[second]
  }
}
