import Checkpoints
import DiffFormat
import TensorCore

/// What kind of diff `create` makes.
public enum CreateMode: Sendable, Hashable {
  /// Exclusive-or: bit-exact, in both directions.
  case xor
  /// New bits: bit-exact, and applying twice does no harm; cannot be reverted.
  case replace
  /// Float additions of the chosen changes, stored as `values`.
  case add(Selection, values: FloatType)
}

/// Which changes an additive diff keeps.
public enum Selection: Sendable, Hashable {
  /// All that are not zero.
  case all
  /// The largest ones over all tensors: ⌊density × elements of float tensors⌋. Among equals the
  /// first by tensor name, then position.
  case density(Double)
  /// Those whose magnitude is not below a number.
  case threshold(Double)
}

/// How `create` works.
public struct CreateOptions: Sendable {
  /// The kind of diff.
  public var mode = CreateMode.xor
  /// How encodings are chosen.
  public var profile = EncodingProfile.size
  /// Whether an additive diff leaves changed tensors out that are not floats, instead of refusing.
  public var skipsNonfloat = false
  /// Whether the state of optimizers is compared too, which whole models of Keras hold.
  public var includesOptimizer = false
  /// Whether an additive diff is refused that loses something: elements that become infinite,
  /// changes that are rounded to zero.
  public var refusesLosses = false
  /// What the tensors of the base are called in the tuned checkpoint.
  public var names = NameMap()
  /// Facts to store with the diff.
  public var metadata: [String: String] = [:]

  /// The defaults: an exact diff, as small as possible.
  public init() {}
}

/// What `create` found.
public struct CreateSummary: Sendable, Hashable {
  /// Tensors changed, and how many the base has.
  public var changedTensors = 0, tensors = 0
  /// Values stored in sparse entries.
  public var changes: UInt64 = 0
  /// Elements of the base.
  public var elements: UInt64 = 0
  /// Tensors that the base alone has, and the tuned checkpoint alone.
  public var deleted: [TensorName] = [], inserted: [TensorName] = []
  /// Pairs of the two that have one type and shape and similar names: perhaps one tensor.
  public var alike: [CloseNames.Pair] = []
  /// Tensors that have another shape in the tuned checkpoint.
  public var reshaped: [TensorName] = []
  /// Changed tensors that were left out because they are not floats.
  public var skipped: [TensorName] = []
  /// Elements that an additive diff makes infinite, since what it stores is rounded.
  public var infinite: UInt64 = 0
  /// Changes that an additive diff leaves out, since what it stores would be zero.
  public var rounded: UInt64 = 0
  /// The whole checkpoints that the diff leads from and to; nil if names in them are ambiguous.
  public var checkpoints: CheckpointFingerprints?
  /// Attributes that the diff takes along, since they go with names and shapes that change.
  public var attributes: [AttributeChange] = []
  /// What either file holds that is no tensor, or state of an optimizer, and so was not compared.
  public var notCompared: [SkippedObject] = []
  /// What else differs between files of one format and is not in the diff: attributes, metadata, other
  /// files of a folder.
  public var notCarried: [SkippedObject] = []
}

extension Diffs {
  /// Writes the diff that takes `base` to `tuned`. Unchanged tensors have no entry.
  ///
  /// A tensor that has another shape in the tuned checkpoint is stored exactly in every mode.
  ///
  /// - Throws: `unsupported` if a tensor's type differs, or an additive diff cannot hold a change;
  ///   `mismatch` for ambiguous names; `io`.
  /// - Complexity: O(size of both), in memory of a few windows of blocks; additive diffs with a
  ///   density read both files two or three times more.
  public static func create(
    from base: any Checkpoint, to tuned: any Checkpoint, into sink: any ByteSink,
    _ options: CreateOptions = CreateOptions(), progress handler: ProgressHandler? = nil
  ) throws(DiffError) -> CreateSummary {
    let stamps = InputStamps([base, tuned])
    let all = try TensorPair.all(base, tuned, options.names)
    let pairs = options.includesOptimizer ? all : all.filter { !$0.isOptimizerState }
    let bytes = pairs.map(\.byteCount).clampedSum
    let writer = try DiffWriter(
      sink, metadata: options.metadata, profile: options.profile, packed: pairs.arePacked())
    var summary = CreateSummary()
    let compared = base.tensors.filter { options.includesOptimizer || !$0.isOptimizerState }
    summary.tensors = compared.count
    summary.notCompared = base.skipped + tuned.skipped.filter { !base.skipped.contains($0) }
    if pairs.count < all.count {
      summary.notCompared.append(
        SkippedObject(
          name: "optimizer", reason: "\(all.count - pairs.count) tensors",
          remedy: .includeOptimizer))
    }
    summary.elements = compared.map(\.shape.count).clampedSum
    summary.addNames(of: pairs)
    try requireCommon(pairs, base, tuned)
    var additive: AdditivePlan?
    if case .add(let selection, let values) = options.mode {
      var progress = ProgressCounter("survey", total: bytes, handler)
      do throws(DiffError) {
        additive = try AdditivePlan(
          pairs, selection, values: values, skipsNonfloat: options.skipsNonfloat,
          progress: &progress)
      } catch { throw error.at(path: tuned.path) }
      summary.skipped = additive?.skipped ?? []
    }
    var progress = ProgressCounter("create", total: bytes, handler)
    var written: [TensorName.Key: TensorName] = [:]
    var baseHashes = TensorFingerprints()
    var resultHashes = baseHashes
    for pair in pairs {
      let entry: WrittenPair
      do throws(DiffError) {
        entry = try write(pair, options.mode, &additive, writer)
      } catch {
        // A name that a diff cannot hold is a fault of the file that has it.
        throw error.at(path: (pair.base == nil ? tuned : base).path)
      }
      if let hash = entry.base { baseHashes.append(pair.name, hash) }
      if let hash = entry.result { resultHashes.append(pair.name, hash) }
      if let changes = entry.changes {
        if let other = written.updateValue(pair.name, forKey: pair.name.key) {
          throw DiffError(
            .mismatch, "differs from '\(other)' in the separator only; rename one of them",
            path: (pair.base == nil ? tuned : base).path, tensor: pair.name)
        }
        summary.changedTensors += 1
        summary.changes += changes
      }
      progress.add(pair.byteCount)
    }
    summary.infinite = additive?.infinite ?? 0
    summary.rounded = additive?.rounded ?? 0
    if options.refusesLosses { try summary.refuseLosses(tuned.path) }
    let differences = try AttributeDifferences(from: base, to: tuned, pairs, options)
    writer.carry(differences.carried)
    if let base = baseHashes.ofCheckpoint, let result = resultHashes.ofCheckpoint {
      let checkpoints = CheckpointFingerprints(base: base, result: result)
      summary.checkpoints = checkpoints
      writer.extensions.append(DiffExtension(checkpoints: checkpoints))
    }
    summary.attributes = differences.carried
    summary.notCarried = differences.notCarried
    try stamps.check()
    try writer.finish()
    return summary
  }
}

/// Writes the entry of a tensor, if it changes.
private func write(
  _ pair: TensorPair, _ mode: CreateMode, _ additive: inout AdditivePlan?, _ writer: DiffWriter
) throws(DiffError) -> WrittenPair {
  switch (pair.base, pair.tuned) {
  case (nil, let tensor?): return try pair.write(whole: tensor, pair.tunedFile, .insert, writer)
  case (let tensor?, nil): return try pair.write(whole: tensor, pair.baseFile, .delete, writer)
  case (let old?, let new?) where pair.isReshape: return try pair.writeReshape(old, new, writer)
  default:
    if let written = try additive?.write(pair, writer) { return written }
    return try pair.writeExact(mode, writer)
  }
}

extension CreateSummary {
  /// Refuses an additive diff that lost something.
  fileprivate func refuseLosses(_ path: String) throws(DiffError) {
    let losses = [
      (infinite, "become infinite"), (rounded, "are rounded to zero"),
    ].filter { $0.0 > 0 }
    guard !losses.isEmpty else { return }
    throw DiffError(
      .unsupported,
      "of the changes " + losses.map { "\($0.0) \($0.1)" }.joined(separator: ", ")
        + "; nothing was written", path: path, remedy: .allowLosses)
  }
}

/// What became of a tensor of two checkpoints in the diff.
struct WrittenPair {
  /// Values in its sparse entry; nil if it has no entry.
  var changes: UInt64?
  /// The tensor before and after, where it exists.
  var base, result: Fingerprint?
}

extension [TensorPair] {
  /// Whether a tensor changes whose elements are no whole bytes, which a diff says at its beginning.
  fileprivate func arePacked() throws(DiffError) -> Bool {
    for pair in self where pair.type.unit > 1 {
      if pair.base == nil || pair.tuned == nil || pair.isReshape { return true }
      if try pair.isChanged() { return true }
    }
    return false
  }
}

/// Refuses two checkpoints of which no tensor has the name of one of the other: two models, or one
/// whose names differ.
private func requireCommon(
  _ pairs: [TensorPair], _ base: any Checkpoint, _ tuned: any Checkpoint
) throws(DiffError) {
  let sides = Dictionary(grouping: pairs) { $0.base != nil }
  guard let old = sides[true], let new = sides[false], old.allSatisfy({ $0.tuned == nil }) else {
    return
  }
  let alike = new.filter { $0.type == old[0].type && $0.shape == old[0].shape }
  let close = CloseNames.closest(to: old[0].name, among: alike.map(\.name))
  throw DiffError(
    .mismatch, "is not in the checkpoint, nor is any other tensor of \(base.path)",
    path: tuned.path, tensor: old[0].name,
    remedy: close.map { .nameMap(closest: $0) } ?? .wholeCheckpoint)
}

/// A tensor of two checkpoints.
struct TensorPair: Sendable {
  /// The name in the diff: that of the base, or of the tuned checkpoint if the base has none.
  let name: TensorName
  let base, tuned: StoredTensor?
  let baseFile, tunedFile: any Checkpoint

  var type: ElementType { (base ?? tuned)?.type ?? .u8 }
  var shape: Shape { (base ?? tuned)?.shape ?? .scalar }
  var byteCount: UInt64 { (base ?? tuned)?.byteCount ?? 0 }

  var isOptimizerState: Bool { (base ?? tuned)?.isOptimizerState ?? false }

  /// Whether both have the tensor, in different shapes.
  var isReshape: Bool {
    if let base, let tuned { base.shape != tuned.shape } else { false }
  }

  /// All tensors of either checkpoint, in order of names.
  static func all(
    _ base: any Checkpoint, _ tuned: any Checkpoint, _ map: NameMap = NameMap()
  ) throws(DiffError) -> [TensorPair] {
    try map.requireDistinct(base.tensors.map(\.name), of: base.path)
    let names = TensorNames(tuned, map)
    let baseNames = TensorNames(base)
    var matched: [TensorName: (name: TensorName, isLiteral: Bool)] = [:]
    var pairs: [TensorPair] = []
    for tensor in base.tensors {
      let other = try names.find(tensor.name)
      if let other {
        let isLiteral = ([other.name] + other.aliases).contains(tensor.name)
        let first = matched.updateValue((tensor.name, isLiteral), forKey: other.name)
        if let first, !(first.isLiteral && isLiteral) {
          throw ambiguous(tensor, first.name, base)
        }
        guard tensor.type == other.type else {
          throw DiffError(
            .unsupported,
            "is \(tensor.type) in the base, \(other.type) in \(tuned.path): no diff holds that",
            path: base.path, tensor: tensor.name,
            remedy: tensor.type.float == nil || other.type.float == nil
              ? nil : .convertType(tuned.path, to: "\(tensor.type)"))
        }
      }
      pairs.append(
        TensorPair(
          name: tensor.name, base: tensor, tuned: other, baseFile: base, tunedFile: tuned))
    }
    for tensor in tuned.tensors where matched[tensor.name] == nil {
      if let there = try baseNames.find(tensor.name) {
        throw ambiguous(tensor, there.name, tuned)
      }
      pairs.append(
        TensorPair(
          name: tensor.name, base: nil, tuned: tensor, baseFile: base, tunedFile: tuned))
    }
    return pairs.sorted { $0.name < $1.name }
  }

  /// Two names that whoever applies the diff could not tell apart.
  private static func ambiguous(
    _ tensor: StoredTensor, _ other: TensorName, _ file: any Checkpoint
  ) -> DiffError {
    DiffError(
      .mismatch,
      "cannot be told from '\(other)', which matches the same tensor; rename one of them",
      path: file.path, tensor: tensor.name)
  }

  /// Writes a tensor that only one of the checkpoints has.
  func write(
    whole tensor: StoredTensor, _ file: any Checkpoint, _ operation: DiffOperation,
    _ writer: DiffWriter
  ) throws(DiffError) -> WrittenPair {
    try writer.begin(DiffEntry(name, operation, tensor.type, tensor.shape))
    var builder = Fingerprint.Builder(tensor.type, tensor.shape)
    let width = UInt64(tensor.type.width)
    var room: [UInt8] = []
    try Blocks.forEachWindow(of: tensor.byteCount, width: tensor.type.width) {
      window throws(DiffError) in
      for block in window {
        try file.read(tensor, block, into: &room)
        builder.append(BlockHashes(room.span))
        try writer.append(at: block.lowerBound / width, every: room.span)
      }
    }
    let fingerprint = builder.fingerprint
    let written = WrittenPair(
      changes: 0, base: operation == .delete ? fingerprint : nil,
      result: operation == .insert ? fingerprint : nil)
    try writer.end(base: written.base, result: written.result)
    return written
  }
}
