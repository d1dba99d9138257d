import Checkpoints
import DiffFormat
import SystemSupport
import TensorCore

/// A merge of diffs some of which change the shapes of tensors.
struct GrownMerge {
  private let inputs: [MergeInput]
  private let base: any Checkpoint
  private let options: MergeOptions
  private let grown: [TensorName.Key: GrownTensor]

  /// - Throws: the errors of `GrownTensor`; `mismatch` if rows differ and none are chosen.
  init(
    _ inputs: [MergeInput], on base: any Checkpoint, _ options: MergeOptions
  ) throws(DiffError) {
    self.inputs = inputs
    self.base = base
    self.options = options
    let names = TensorNames(base)
    var grown: [TensorName.Key: GrownTensor] = [:]
    for tensor in try AlignedTensor.all(inputs.map(\.diff)) {
      let entries = tensor.entries(in: inputs.map(\.diff))
      guard entries.contains(where: { $0.entry.isReshape }) else { continue }
      guard options.rows != nil else {
        throw DiffError(
          .mismatch, "changes its number of rows: choose which rows to take", path: base.path,
          tensor: tensor.name, remedy: .chooseRows)
      }
      grown[tensor.key] = try GrownTensor(tensor, inputs, in: base, names)
    }
    self.grown = grown
  }

  /// Writes the merged diff.
  func write(
    to sink: any ByteSink, _ handler: ProgressHandler?
  ) throws(DiffError) -> MergeSummary {
    var plain = options
    plain.base = nil
    guard !grown.isEmpty, let rows = options.rows else {
      return try Diffs.merge(inputs, into: sink, plain, progress: handler)
    }
    plain.metadata["diffkit.merge.rows"] = rows.word
    let scratch = MemorySink()
    var summary = try Diffs.merge(additive(), into: scratch, plain, progress: handler)
    let merged = try DiffReader(bytes: scratch.bytes)
    let writer = try DiffWriter(sink, metadata: merged.metadata, profile: options.profile)
    let additions = Dictionary(
      merged.map { ($0.name.key, $0) }, uniquingKeysWith: { first, _ in first })
    let names = Set(merged.map(\.name)).union(
      grown.filter { additions[$0.key] == nil }.map(\.value.name))
    for name in names.sorted() {
      let entry = additions[name.key]
      if let tensor = grown[name.key] {
        try tensor.write(entry, of: merged, rows, inputs, to: writer)
        summary.grown.append(name)
      } else if let entry {
        try writer.copy(entry, of: merged)
      }
    }
    try writer.finish()
    return summary
  }

  /// Returns the diffs with additions in place of their `reshape` entries.
  func additive() throws(DiffError) -> [MergeInput] {
    var additive: [MergeInput] = []
    for input in inputs { additive.append(try withDeltas(input)) }
    return additive
  }

  /// Returns a diff with additions in place of its `reshape` entries.
  private func withDeltas(_ input: MergeInput) throws(DiffError) -> MergeInput {
    guard input.diff.contains(where: \.isReshape) else { return input }
    let sink = MemorySink()
    let writer = try DiffWriter(sink, metadata: input.diff.metadata, profile: .speed)
    for entry in input.diff {
      if entry.isReshape, let tensor = grown[entry.name.key] {
        try tensor.writeDeltas(of: entry, input.diff, to: writer)
      } else {
        try writer.copy(entry, of: input.diff)
      }
    }
    try writer.finish()
    var copy = input
    copy.diff = try DiffReader(MemorySource(sink.bytes, name: input.diff.path))
    copy.original = input.identity
    return copy
  }
}

extension RowChoice {
  /// The choice as stored in metadata.
  fileprivate var word: String {
    switch self {
    case .first: "first"
    case .average: "average"
    case .drop: "drop"
    case .named(let name): name
    }
  }
}
