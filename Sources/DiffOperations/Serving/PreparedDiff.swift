import DiffFormat
import SystemSupport
import TensorCore

/// One diff, or several combined, decoded for one model: the changed positions, their bits in the
/// base, and their bits in the result. Immutable.
public struct PreparedDiff: Sendable {
  /// The changes to elements of tensors.
  private let patches: [TensorPatch]
  /// All runs of all patches.
  private let runs: [(patch: Int, run: Int)]
  /// The inserted tensors, and the names of the deleted ones.
  let inserted: [ResidentTensor]
  let insertedByName: NameTable<ResidentTensor>
  let deleted: Set<TensorName>
  /// The reshaped tensors of the result.
  let reshaped: [ResidentTensor]
  /// The identity of the model that the diff was prepared for.
  let model: ObjectIdentifier

  /// The number of elements that change.
  public var changes: UInt64 { patches.reduce(0) { $0 + $1.changes } }

  /// Decodes diffs for the base of a model, whatever is attached to it now. Exact diffs are applied
  /// in order, additions to one base are summed, as in `apply`.
  ///
  /// - Parameters:
  ///   - diffs: the diffs to decode.
  ///   - model: the model whose base they are to change.
  ///   - verification: `full` hashes each tensor that changes, `touched` only the elements that
  ///     change (for a single exact diff).
  ///   - allowsOtherBase: whether additions may be applied to a base other than theirs, though not
  ///     to their result.
  ///   - names: maps names in the diffs to names in the model.
  /// - Throws: the errors of `apply`: `wrong-base`, `mismatch`, `unsupported`; `unsupported` for
  ///   tensors that change their shape.
  /// - Complexity: O(changes) in time and memory, plus the verification.
  public init(
    _ diffs: [DiffReader], for model: ResidentModel, _ verification: Verification = .full,
    allowsOtherBase: Bool = false, names: NameMap = NameMap()
  ) throws(DiffError) {
    var options = ApplyOptions()
    options.verification = verification
    options.allowsOtherBase = allowsOtherBase
    options.names = names
    self = try model.lock.reading { () throws(DiffError) in
      try PreparedDiff(diffs, ResidentBase(model), options, reshaping: false)
    }
  }

  /// Decodes diffs for a reader that takes reshaped tensors from `reshaped`.
  init(
    reshaping diffs: [DiffReader], for model: ResidentModel, allowsOtherBase: Bool
  ) throws(DiffError) {
    var options = ApplyOptions()
    options.allowsOtherBase = allowsOtherBase
    self = try model.lock.reading { () throws(DiffError) in
      try PreparedDiff(diffs, ResidentBase(model), options, reshaping: true)
    }
  }

  /// Decodes steps from the base of a model, whatever is attached to it now; nil if tensors are
  /// inserted, deleted or reshaped, or a reverted step keeps no old values.
  ///
  /// - Throws: `wrong-base` if the steps do not begin with the tensors of the model, `checksum` if
  ///   the results do not match their fingerprints.
  /// - Complexity: O(changes + bytes of the tensors that change) in time, O(changes) in memory.
  package init?(_ steps: [DiffStep], for model: ResidentModel) throws(DiffError) {
    let chains = try StepChain.all(steps)
    guard chains.allSatisfy(\.changesElementsAlone) else { return nil }
    self = try model.lock.reading { () throws(DiffError) in
      let base = ResidentBase(model)
      let names = TensorNames(base)
      let plans = try chains.map { (chain) throws(DiffError) in
        let name = chain.first.entry.name
        guard let stored = try names.find(name), stored.type == chain.first.entry.type,
          stored.shape == chain.first.shapeBefore
        else {
          throw DiffError(
            .mismatch, "is not the one that the diff was made for", path: model.path,
            tensor: name)
        }
        return TensorPlan(name: stored.name, stored: stored, entries: chain.entries, isSum: false)
      }
      return try PreparedDiff(plans, base, ApplyOptions())
    }
  }

  private init(
    _ diffs: [DiffReader], _ base: ResidentBase, _ options: ApplyOptions, reshaping: Bool
  ) throws(DiffError) {
    try self.init(
      TensorPlan.all(diffs, .apply, on: base, options.names), base, options, reshaping: reshaping)
  }

  private init(
    _ plans: [TensorPlan], _ base: ResidentBase, _ options: ApplyOptions, reshaping: Bool = false
  ) throws(DiffError) {
    let model = base.model
    try check(plans, options)
    var patches: [TensorPatch] = []
    var inserted: [ResidentTensor] = []
    var deleted: Set<TensorName> = []
    var reshaped: [ResidentTensor] = []
    var none = ProgressCounter("", total: 0, nil)
    for plan in plans {
      if plan.isReshape, reshaping, plan.entries.count == 1, let stored = plan.stored {
        reshaped.append(try Self.reshape(stored, plan, model))
        continue
      }
      guard !plan.isReshape else {
        throw DiffError(
          .unsupported,
          "changes its shape, which an overlay does not support; apply the diff to a file",
          path: plan.entries[0].reader.path, tensor: plan.name)
      }
      let state = try classify(plan, on: base, options, progress: &none)
      guard state == .base || plan.isNeutral && state == .result else {
        throw DiffError(
          .wrongBase, "is not the one that the diff was made for", path: model.path,
          tensor: plan.name)
      }
      switch (plan.stored, plan.existsAfter) {
      case (let stored?, true):
        guard let bytes = model.bytes(of: stored) else { continue }
        patches.append(try TensorPatch(plan, bytes, under: base.attached?.patch(of: bytes)))
      case (nil, true):
        inserted.append(
          ResidentTensor(
            name: plan.name, type: plan.type, shape: plan.shape, bytes: try Self.whole(plan)))
      case (_, false): deleted.insert(plan.name)
      }
    }
    self.patches = patches
    runs = patches.indices.flatMap { patch in patches[patch].runIndices.map { (patch, $0) } }
    self.inserted = inserted
    insertedByName = NameTable(inserted.map { ($0.name, $0) })
    self.deleted = deleted
    self.reshaped = reshaped
    self.model = ObjectIdentifier(model)
  }

  /// Writes the elements of the result, or of the base, into the model. O(changes).
  func store(_ side: TensorPatch.Side) {
    parallelFor(runs.count) { index in
      patches[runs[index].patch].store(side, run: runs[index].run)
    }
  }

  /// Returns the changes to a tensor of the model, or nil.
  func patch(of bytes: ResidentBytes) -> TensorPatch? { patches.first { $0.bytes === bytes } }

  /// Returns a reshaped tensor.
  private static func reshape(
    _ stored: StoredTensor, _ plan: TensorPlan, _ model: ResidentModel
  ) throws(DiffError) -> ResidentTensor {
    let directed = plan.entries[0]
    let change = try BufferReshape(directed.reader, directed.entry, .apply)
    guard let old = model.bytes(of: stored) else {
      throw DiffError(.mismatch, "no such tensor", path: model.path, tensor: plan.name)
    }
    let shape = directed.shapeAfter
    var new = [UInt8](repeating: 0, count: Int(shape.count) * plan.type.width)
    var span = new.mutableSpan
    try change.run(old.span, into: &span, verifying: true)
    let bytes = ResidentBytes(count: new.count)
    bytes.change(at: 0, count: new.count) { $0.copy(new.span) }
    return ResidentTensor(name: stored.name, type: plan.type, shape: shape, bytes: bytes)
  }

  /// Returns the elements of an inserted tensor.
  private static func whole(_ plan: TensorPlan) throws(DiffError) -> ResidentBytes {
    let bytes = ResidentBytes(count: Int(plan.byteCount))
    try plan.patch.forEachBlock(of: plan.type, plan.shape) { elements, block in
      let start = Int(elements.lowerBound) * plan.type.width
      bytes.change(at: start, count: block.count) { $0.copy(block.span) }
    }
    try plan.requireConsistent(.of(plan.type, plan.shape, bytes.span))
    return bytes
  }
}
