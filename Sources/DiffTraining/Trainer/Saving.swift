import TensorCore

// The state of a training that each kind of parameters saves and restores.

extension AdamW {
  func save(to writer: StateWriter, _ layout: ParameterLayout) throws(DiffError) {
    let state = state
    try writer.put([Double(state.steps)])
    for (_, rows) in state.lastTouched.sorted(by: { $0.key < $1.key }) {
      try writer.put(rows.map { Double($0) })
    }
    try writer.put(first, ranges(state, layout))
    try writer.put(second, ranges(state, layout))
  }

  func restore(from reader: StateReader, _ layout: ParameterLayout) throws(DiffError) {
    var state = state
    state.steps = try reader.takeInt(in: 0...Int(Int32.max))
    for (index, rows) in state.lastTouched.sorted(by: { $0.key < $1.key }) {
      state.lastTouched[index] = try reader.takeInts(rows.count, in: 0...Int(Int32.max))
        .map { Int32($0) }
    }
    try reader.take(first, ranges(state, layout))
    try reader.take(second, ranges(state, layout))
    self.state = state
  }

  /// Returns the ranges in which the moments may differ from zero.
  private func ranges(_ state: State, _ layout: ParameterLayout) -> [Range<Int>] {
    parameters.flatMap { index in
      let parameter = layout.parameters[index]
      return state.lastTouched[index].map { parameter.ranges(ofRows: $0.map { $0 > 0 }) }
        ?? [parameter.range]
    }
  }
}

extension MaskedParameters {
  func save(to writer: StateWriter) throws(DiffError) {
    for buffer in [differences, means, squares] { try writer.put(buffer) }
  }

  func restore(from reader: StateReader) throws(DiffError) {
    for buffer in [differences, means, squares] { try reader.take(buffer) }
    store()
  }
}

extension GatedParameters {
  func save(to writer: StateWriter) throws(DiffError) {
    for table in tables { try writer.put(table.isSeen) }
    try writer.put(groups.locations)
    try writer.put(groups.means)
    try writer.put(groups.squares)
    try writer.put(groups.multiplicity)
    for (buffers, ranges) in stateRanges {
      for buffer in buffers.state { try writer.put(buffer, ranges) }
    }
  }

  func restore(from reader: StateReader) throws(DiffError) {
    for index in tables.indices {
      let isSeen = try reader.takeFlags(tables[index].isSeen.count)
      tables[index].isSeen = isSeen
      tables[index].unseen = isSeen.count { !$0 }
    }
    let count = groups.locations.count
    let (locations, means) = (try reader.takeFloats(count), try reader.takeFloats(count))
    let (squares, multiplicity) = (try reader.takeFloats(count), try reader.takeDoubles(count))
    groups.restore(
      locations: locations, means: means, squares: squares, multiplicity: multiplicity)
    for (buffers, ranges) in stateRanges {
      for buffer in buffers.state { try reader.take(buffer, ranges) }
    }
    planRuns()
  }

  /// The ranges in which the state of gates may differ from the initial one.
  private var stateRanges: [(GateBuffers, [Range<Int>])] {
    var all: [Range<Int>] = []
    for region in regions where !region.parameter.isTable { all.append(region.parameter.range) }
    for table in tables {
      all += regions[table.region].parameter.ranges(ofRows: table.isSeen)
    }
    return [(buffers[0], all)] + buffers.dropFirst().map { ($0, [0..<$0.gates.count]) }
  }
}

extension GateBuffers {
  fileprivate var state: [FloatBuffer] {
    [weights, weightMeans, weightSquares, gates, gateMeans, gateSquares]
  }
}

extension ParameterLayout.Parameter {
  /// Returns the positions of the chosen rows, neighbours joined.
  func ranges(ofRows isChosen: [Bool]) -> [Range<Int>] {
    let width = Int(shape.rowLength)
    return isChosen.runsOfTrue.map {
      range.lowerBound + $0.lowerBound * width..<range.lowerBound + $0.upperBound * width
    }
  }
}
