import TensorCore

/// A selection of positions, with the number requested and the density before.
struct SelectionFacts {
  var positions: [Int] = []
  var wanted: Int?
  var densityBefore: Double?

  func save(to writer: StateWriter) throws(DiffError) {
    try writer.put([Double(positions.count)])
    try writer.put([Double(wanted ?? -1)])
    try writer.put([densityBefore ?? -1])
    try writer.put(positions.map { Double($0) })
  }

  /// Reads a stored selection.
  ///
  /// - Parameter places: The number of positions in the layout.
  mutating func restore(from reader: StateReader, places: Int) throws(DiffError) {
    let count = try reader.takeInt(in: 0...places)
    let wanted = try reader.takeInt(in: -1...places)
    let density = try reader.takeDoubles(1)[0]
    positions = try reader.takeInts(count, in: 0...max(0, places - 1))
    self.wanted = wanted < 0 ? nil : wanted
    densityBefore = density < 0 ? nil : density
  }
}
