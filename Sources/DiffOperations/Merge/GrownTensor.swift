import Checkpoints
import DiffFormat
import Kernels
import TensorCore

/// A tensor whose number of rows some of the merged diffs change. Rows of the base are merged as
/// deltas, which requires the base, since a `reshape` stores exact bits; further rows are taken
/// from the chosen diffs.
struct GrownTensor {
  let name: TensorName
  let float: FloatType
  /// The tensor in the base.
  let stored: StoredTensor
  let base: any Checkpoint
  /// The bytes of the tensor in the base.
  private let bytes: [UInt8]
  /// The indices of the diffs that change the shape, with their entries, in the order given.
  let reshapes: [(diff: Int, entry: DiffEntry)]

  /// - Throws: `wrongBase` if the base is wrong; `mismatch` for changes of shape other than of the
  ///   number of rows.
  init(
    _ tensor: AlignedTensor, _ inputs: [MergeInput], in base: any Checkpoint, _ names: TensorNames
  ) throws(DiffError) {
    let entries = tensor.entries(in: inputs.map(\.diff))
    func refuse(_ code: DiffError.Code, _ message: String, _ diff: Int? = nil) -> DiffError {
      DiffError(
        code, message, path: diff.flatMap { inputs[$0].diff.path } ?? base.path, tensor: tensor.name
      )
    }
    guard let stored = try names.find(tensor.name) else {
      throw refuse(.mismatch, "is not in the base")
    }
    guard let float = stored.type.float else {
      throw refuse(
        .unsupported,
        "changes its shape and is not a float tensor, so there are no deltas to merge")
    }
    guard !stored.shape.extents.isEmpty, stored.shape.count <= UInt64(UInt32.max) else {
      throw refuse(.unsupported, "has no rows, or too many elements, to merge row by row")
    }
    let fingerprint = try base.fingerprint(of: stored)
    for (diff, entry) in entries {
      guard entry.type == stored.type, entry.shape == stored.shape else {
        throw refuse(
          .mismatch,
          "is \(entry.type) \(entry.shape) here, \(stored.type) \(stored.shape) in the base",
          diff)
      }
      guard entry.base == fingerprint else {
        throw refuse(.wrongBase, "was made on a base other than \(base.path)", diff)
      }
      if case .reshape(let new) = entry.operation {
        guard new.extents.dropFirst() == stored.shape.extents.dropFirst() else {
          throw refuse(
            .mismatch, "becomes \(new), which differs in more than the number of rows", diff)
        }
      } else if !entry.isAddition {
        throw refuse(
          .mismatch, "is '\(entry.operation.name)' here, but changes its rows elsewhere", diff)
      }
    }
    var bytes: [UInt8] = []
    try base.read(stored, 0..<stored.byteCount, into: &bytes)
    name = tensor.name
    self.float = float
    self.stored = stored
    self.base = base
    self.bytes = bytes
    reshapes = entries.filter(\.entry.isReshape)
  }

  private var rows: UInt64 { stored.shape.extents[0] }
  private var rowBytes: Int { rows == 0 ? 0 : bytes.count / Int(rows) }

  /// Writes the changes of a diff to the rows of the base as additions; no entry if there are none.
  func writeDeltas(
    of entry: DiffEntry, _ diff: DiffReader, to writer: DiffWriter
  ) throws(DiffError) {
    var hasBegun = false
    var pages = diff.pages(of: entry)
    while let changes = try pages.next() {
      let numbers = self.numbers(changes)
      var offsets: [UInt32] = []
      var deltas: [Double] = []
      for index in numbers.indices where numbers[index] != 0 {
        offsets.append(changes.offsets[index])
        deltas.append(numbers[index])
      }
      if !deltas.isEmpty {
        if !hasBegun { try writer.begin(addition(entry)) }
        hasBegun = true
        try check(deltas, of: entry, diff)
        let values = Kernels.narrowed(deltas.span, .f32, 0)
        try writer.append(ChangeView(at: changes.start, offsets.span, values.span))
      }
    }
    if hasBegun { try writer.end() }
  }

  /// Returns the entry of additions that replaces a `reshape`.
  private func addition(_ entry: DiffEntry) -> DiffEntry {
    DiffEntry(
      entry.name, .add(values: .f32, scale: 0), entry.type, entry.shape, base: entry.base)
  }

  private func check(
    _ deltas: [Double], of entry: DiffEntry, _ diff: DiffReader
  ) throws(DiffError) {
    guard !deltas.allSatisfy({ Float($0).isFinite }) else { return }
    throw DiffError(
      .unsupported, "a change is not finite", path: diff.path, tensor: entry.name)
  }

  /// Returns the deltas of changed bits.
  private func numbers(_ changes: ChangeView<UInt8>) -> [Double] {
    let before = changes.gathered(from: bytes.span, width: float.width, at: 0)
    var after: [UInt8] = []
    after.append(copying: changes.values)
    for index in after.indices { after[index] ^= before[index] }
    var deltas = [Double](repeating: 0, count: changes.count)
    var out = deltas.mutableSpan
    Kernels.subtract(before.span, from: after.span, float, into: &out)
    return deltas
  }

  /// Writes the tensor with the merged additions and the chosen rows.
  func write(
    _ additions: DiffEntry?, of merged: DiffReader, _ choice: RowChoice, _ inputs: [MergeInput],
    to writer: DiffWriter
  ) throws(DiffError) {
    guard let extra = try extraRows(choice, inputs) else {
      if let additions { try writer.copy(additions, of: merged) }
      return
    }
    var result = bytes
    if let additions {
      var patch = Patch(
        [DirectedEntry(reader: merged, entry: additions, number: 0, isReversed: false)],
        isSum: true)
      try patch.move(to: 0..<stored.shape.count)
      patch.apply(to: &result, 0..<stored.shape.count)
    }
    result = Array(result.prefix(Int(min(rows, extra.rows)) * rowBytes)) + extra.bytes
    guard
      let shape = Shape([extra.rows] + stored.shape.extents.dropFirst())
    else { throw DiffError(.limit, "has too many elements", tensor: name) }
    let tensor = StoredTensor(
      name: name, type: stored.type, shape: shape, storage: .compact)
    _ = try TensorPair(
      name: name, base: stored, tuned: tensor, baseFile: base,
      tunedFile: HeldTensor(tensor, of: base.path, bytes: result)
    ).writeReshape(stored, tensor, writer)
  }

  /// Returns the number of rows of the result, and the rows after those of the base; nil if the
  /// number of the base is kept.
  private func extraRows(
    _ choice: RowChoice, _ inputs: [MergeInput]
  ) throws(DiffError) -> (rows: UInt64, bytes: [UInt8])? {
    var chosen = reshapes
    switch choice {
    case .drop: return nil
    case .first: chosen = [reshapes[0]]
    case .average: break
    case .named(let name):
      chosen = reshapes.filter { inputs[$0.diff].isNamed(name) }
      guard !chosen.isEmpty else {
        throw DiffError(
          .mismatch, "does not change its rows in '\(name)', whose rows were chosen",
          tensor: self.name)
      }
    }
    var counts: [UInt64] = []
    var remainders: [[UInt8]] = []
    for (diff, entry) in chosen {
      counts.append(entry.newShape?.extents[0] ?? rows)
      remainders.append(try remainder(of: entry, inputs[diff].diff))
    }
    let most = counts.max() ?? rows
    guard most != rows else { return nil }
    guard remainders.count > 1 else { return (most, remainders[0]) }
    return (most, mean(of: remainders, rows: most > rows ? Int(most - rows) : 0))
  }

  private func remainder(of entry: DiffEntry, _ diff: DiffReader) throws(DiffError) -> [UInt8] {
    var bytes: [UInt8] = []
    var pages = diff.pages(of: entry, .newRemainder)
    while let changes = try pages.next() { bytes.append(copying: changes.values) }
    return bytes
  }

  /// Returns the mean of each row over the remainders that have it.
  private func mean(of remainders: [[UInt8]], rows: Int) -> [UInt8] {
    let columns = rowBytes / float.width
    var sums = [Double](repeating: 0, count: rows * columns)
    var counts = sums
    for remainder in remainders {
      for (index, number) in Kernels.widened(remainder.span, float, 0).enumerated() {
        sums[index] += number
        counts[index] += 1
      }
    }
    for index in sums.indices where counts[index] > 0 { sums[index] /= counts[index] }
    return Kernels.narrowed(sums.span, float, 0)
  }
}
