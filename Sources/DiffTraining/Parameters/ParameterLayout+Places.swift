import Kernels
import TensorCore

extension ParameterLayout {
  /// The indices of the head's parameters, and of the others.
  var headIndices: [Int] { parameters.indices.filter { parameters[$0].isHead } }
  var bodyIndices: [Int] { parameters.indices.filter { !parameters[$0].isHead } }

  /// Returns the positions of all elements of some parameters of the body.
  func positions(of isChosen: (Parameter) -> Bool) -> [Int] {
    parameters.filter { !$0.isHead && isChosen($0) }.flatMap { Array($0.range) }
  }

  /// Returns the indices of the parameters that hold some ascending positions, and the head's.
  func indices(holding positions: [Int]) -> [Int] {
    let counts = counts(of: positions)
    return parameters.indices.filter { parameters[$0].isHead || counts[$0] > 0 }
  }

  /// Returns the number of ascending positions that each parameter holds.
  func counts(of positions: [Int]) -> [Int] {
    var next = positions[...]
    return parameters.map { parameter in
      let before = next.count
      next = next.drop { $0 < parameter.range.upperBound }
      return before - next.count
    }
  }

  /// A predicate for the parameters of the layer with the highest number, and of the pooler.
  var lastLayer: (Parameter) -> Bool {
    func number(_ parameter: Parameter) -> Int? {
      let parts = parameter.name.parts
      guard let at = parts.firstIndex(of: "layer"), at + 1 < parts.count else { return nil }
      return Int(parts[at + 1])
    }
    let last = parameters.compactMap(number).max()
    return { parameter in
      parameter.name.description.contains("pooler") || last != nil && number(parameter) == last
    }
  }

  /// Returns `count` random positions of some parameters of the body (Floyd's algorithm),
  /// ascending; all positions, if there are fewer.
  func randomPositions(_ count: Int, of indices: [Int], seed: UInt64) -> [Int] {
    var random = SplitMix64(seed: seed)
    var chosen: Set<Int> = []
    let drawn = indices.map { parameters[$0] }.filter { !$0.isHead }
    let all = drawn.reduce(0) { $0 + $1.range.count }
    for upper in max(0, all - count)..<all {
      let candidate = Int(random.next(below: UInt64(upper) + 1))
      chosen.insert(chosen.contains(candidate) ? upper : candidate)
    }
    var positions: [Int] = []
    positions.reserveCapacity(count)
    var before = 0
    for parameter in drawn {
      // Elements are counted without the gaps between parameters.
      for place in chosen where (before..<before + parameter.range.count).contains(place) {
        positions.append(parameter.range.lowerBound + place - before)
      }
      before += parameter.range.count
    }
    return positions.sorted()
  }
}
