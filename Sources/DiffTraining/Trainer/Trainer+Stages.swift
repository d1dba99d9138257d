import TensorCore

extension Trainer {
  /// Returns the learner of a stage.
  ///
  /// - Parameters:
  ///   - last: The learner of the stage before, settled.
  ///   - positions: The positions of a fixed selection, if they are known already.
  func makeLearner(
    _ stage: Int, _ last: (any Learner)?, positions: [Int]? = nil
  ) throws(DiffError) -> any Learner {
    gradients.want(only: learning)
    switch plan.stages[stage].kind {
    case .gates:
      return GatedLearner(
        values, gradients, options, learning: learning, steps: plan.stages[stage].steps)
    case .full: return FullLearner(values, gradients, options, learning: learning)
    case .fisher: return FisherLearner(gradients)
    case .fixed:
      let base = try base(last)
      var found = positions.map { ($0, nil) } ?? select(last, base)
      let frozen = frozen.map { model.layout.parameters[$0].range }
      found.0.removeAll { place in frozen.contains { $0.contains(place) } }
      selection.positions = found.0
      gradients.want(only: model.layout.indices(holding: found.0))
      // Elements that were not selected are reset to the base.
      for parameter in model.layout.parameters where !parameter.isHead {
        values.copy(base, parameter.range, to: parameter.range.lowerBound)
      }
      let mask = MaskedParameters(found.0, values, base: base, from: found.1)
      return MaskedLearner(mask, of: values, gradients, options)
    }
  }

  /// Returns the values of the base: those that gates hold, or read once more.
  private func base(_ last: (any Learner)?) throws(DiffError) -> FloatBuffer {
    if let gates = (last as? GatedLearner)?.gates { return gates.base }
    let base = FloatBuffer(count: model.layout.count)
    try model.initialize(base, seed: options.seed)
    return base
  }

  /// Returns the positions that are trained further, and their initial differences.
  private func select(
    _ last: (any Learner)?, _ base: FloatBuffer
  ) -> (positions: [Int], start: FloatBuffer?) {
    let layout = model.layout
    let wanted = Int((options.density * Double(layout.bodyCount)).rounded(.down))
    switch options.method {
    case .bitfit:
      return (layout.positions(of: \.isBias), nil)
    case .lastLayer:
      return (layout.positions(of: layout.lastLayer), nil)
    case .random:
      selection.wanted = wanted
      return (layout.randomPositions(wanted, of: learning, seed: options.seed), nil)
    case .fisher:
      selection.wanted = wanted
      guard let sums = (last as? FisherLearner)?.sums else { return ([], nil) }
      return (TopPositions(wanted, of: sums, layout).positions, nil)
    case .structured, .unstructured, .magnitude, .full:
      selection.wanted = wanted
      let start = (last as? GatedLearner)?.differences ?? values.subtracting(base, layout)
      if last is GatedLearner {
        selection.densityBefore =
          Double(start.nonzeros(layout)) / Double(max(1, layout.bodyCount))
      }
      return (TopPositions(wanted, of: start, layout).positions, start)
    }
  }

  /// Returns the result of the training.
  func finish() throws(DiffError) -> Finetune {
    if let mask = (learner as? MaskedLearner)?.mask {
      let differences = mask.differences
      let span = differences.span
      return Finetune(
        layout: model.layout, values: values, positions: mask.positions,
        wanted: selection.wanted, densityBefore: selection.densityBefore,
        additions: span.indices.map { span[$0] })
    }
    let differences = values.subtracting(try base(nil), model.layout)
    let span = differences.span
    let positions = model.layout.positions(of: { _ in true }).filter { span[$0] != 0 }
    return Finetune(
      layout: model.layout, values: values, positions: positions, wanted: nil,
      densityBefore: nil, additions: positions.map { span[$0] })
  }
}

extension ParameterLayout.Parameter {
  /// True if it is added to products or normalized rows; old TensorFlow checkpoints name it `beta`.
  fileprivate var isBias: Bool {
    let last = name.parts.last
    return last == "bias" || last == "beta"
  }
}

extension FloatBuffer {
  /// Returns the number of elements of the body that are not zero.
  fileprivate func nonzeros(_ layout: ParameterLayout) -> Int {
    let span = span
    return layout.parameters.filter { !$0.isHead }.reduce(0) { sum, parameter in
      parameter.range.reduce(sum) { span[$1] == 0 ? $0 : $0 + 1 }
    }
  }

  /// Returns the differences from another buffer in the parameters of the body.
  fileprivate func subtracting(_ base: FloatBuffer, _ layout: ParameterLayout) -> FloatBuffer {
    let result = FloatBuffer(count: count)
    let (values, base) = (span, base.span)
    var out = result.mutableSpan
    for parameter in layout.parameters where !parameter.isHead {
      for place in parameter.range where values[place] != base[place] {
        out[place] = values[place] - base[place]
      }
    }
    return result
  }
}
