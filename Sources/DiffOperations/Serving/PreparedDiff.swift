import DiffFormat
import SystemSupport
import TensorCore

/// One diff, or several taken together, decoded for one model: where it changes what, the bits
/// that stand there in the base, and those of the result. Immutable.
public struct PreparedDiff: Sendable {
  /// The tensors that change in some elements.
  private let patches: [TensorPatch]
  /// All runs of all patches.
  private let runs: [(patch: Int, run: Int)]
  /// The tensors that come, and the names of those that go.
  let inserted: [ResidentTensor]
  let insertedByName: NameTable<ResidentTensor>
  let deleted: Set<TensorName>
  /// The tensors that get another shape, as they are then.
  let reshaped: [ResidentTensor]
  /// The model that it was prepared for.
  let model: ObjectIdentifier

  /// Elements that change.
  public var changes: UInt64 { patches.reduce(0) { $0 + $1.changes } }

  /// Decodes diffs for the base of a model, whatever is attached to it now. Exact diffs count one
  /// after the other, additions to one base are summed, as `apply` does.
  ///
  /// - Parameters:
  ///   - verification: `full` hashes each tensor that changes, `touched` the elements that change
  ///     (a single exact diff).
  ///   - allowsOtherBase: whether additions may go upon another base than theirs, though not upon
  ///     their result.
  /// - Throws: what `apply` throws: `wrong-base`, `mismatch`, `unsupported`; `unsupported` for
  ///   tensors that change their shape.
  /// - Complexity: O(changes) in time and memory, besides the verification.
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

  /// The same for a reader that takes tensors of another shape from `reshaped`.
  init(
    reshaping diffs: [DiffReader], for model: ResidentModel, allowsOtherBase: Bool
  ) throws(DiffError) {
    var options = ApplyOptions()
    options.allowsOtherBase = allowsOtherBase
    self = try model.lock.reading { () throws(DiffError) in
      try PreparedDiff(diffs, ResidentBase(model), options, reshaping: true)
    }
  }

  /// Decodes steps from the base of a model, whatever is attached to it now; nil if tensors come, go or
  /// get other shapes, or a step back does not know what it takes away.
  ///
  /// - Throws: `wrong-base` or `checksum` if the steps do not begin with the tensors of the model, or
  ///   do not lead to what they say.
  /// - Complexity: O(changes) in time and memory, besides the bytes of the tensors that change.
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
          .unsupported, "changes its shape, which an overlay cannot; apply the diff to a file",
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

  /// Brings the result's elements into the model, or those of the base back. O(changes).
  func store(_ side: TensorPatch.Side) {
    parallelFor(runs.count) { index in
      patches[runs[index].patch].store(side, run: runs[index].run)
    }
  }

  /// What changes in a tensor of the model.
  func patch(of bytes: ResidentBytes) -> TensorPatch? { patches.first { $0.bytes === bytes } }

  /// A tensor in the shape that a diff gives it.
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

  /// The elements of a tensor that is inserted.
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
