import Checkpoints
import DiffFormat
import TensorCore

/// The kind of diff that `create` makes.
public enum CreateMode: Sendable, Hashable {
  /// Exclusive-or: bit-exact, in both directions.
  case xor
  /// New bits: bit-exact and idempotent; cannot be reverted.
  case replace
  /// Float additions of the selected changes, stored as `values`.
  case add(Selection, values: FloatType)
}

/// The changes that an additive diff keeps.
public enum Selection: Sendable, Hashable {
  /// All nonzero changes.
  case all
  /// The largest changes over all tensors: ⌊density × elements of float tensors⌋. Ties are broken
  /// by tensor name, then position.
  case density(Double)
  /// The changes whose magnitude is not below a number.
  case threshold(Double)
}

/// The options of `create`.
public struct CreateOptions: Sendable {
  /// The kind of diff.
  public var mode = CreateMode.xor
  /// The profile by which encodings are chosen.
  public var profile = EncodingProfile.size
  /// True if an additive diff leaves out changed tensors that are not floats, instead of refusing
  /// them.
  public var skipsNonfloat = false
  /// True if optimizer state is compared too, which whole Keras models hold.
  public var includesOptimizer = false
  /// Whether an additive diff is refused that loses something: elements that become infinite,
  /// changes that are rounded to zero.
  public var refusesLosses = false
  /// Maps names of the base to names of the tuned checkpoint.
  public var names = NameMap()
  /// Metadata to store in the diff.
  public var metadata: [String: String] = [:]

  /// Creates the default options: an exact diff, as small as possible.
  public init() {}
}

/// The result of `create`.
public struct CreateSummary: Sendable, Hashable {
  /// The number of changed tensors, and of tensors of the base.
  public var changedTensors = 0, tensors = 0
  /// The number of values stored in sparse entries.
  public var changes: UInt64 = 0
  /// The number of elements of the base, and of its changed tensors.
  public var elements: UInt64 = 0, changedElements: UInt64 = 0
  /// The tensors that only the base has, and that only the tuned checkpoint has.
  public var deleted: [TensorName] = [], inserted: [TensorName] = []
  /// Pairs of a deleted and an inserted tensor of equal type and shape with similar names, perhaps
  /// the same tensor.
  public var alike: [CloseNames.Pair] = []
  /// The tensors whose shape differs in the tuned checkpoint.
  public var reshaped: [TensorName] = []
  /// The changed tensors that were left out because they are not floats.
  public var skipped: [TensorName] = []
  /// The number of elements that an additive diff makes infinite because of rounding.
  public var infinite: UInt64 = 0
  /// Changes that an additive diff leaves out, since what it stores would be zero.
  public var rounded: UInt64 = 0
  /// The fingerprints of the whole checkpoints before and after; nil if names in them are
  /// ambiguous.
  public var checkpoints: CheckpointFingerprints?
  /// The attributes that the diff carries, since they depend on names and shapes that change.
  public var attributes: [AttributeChange] = []
  /// The contents of either file that were not compared: not tensors, or optimizer state.
  public var notCompared: [SkippedObject] = []
  /// Other differences between files of one format that are not in the diff: attributes, metadata,
  /// other files of a folder.
  public var notCarried: [SkippedObject] = []
}

extension Diffs {
  /// Writes the diff from `base` to `tuned`. Unchanged tensors have no entry.
  ///
  /// A tensor whose shape differs in the tuned checkpoint is stored exactly in every mode.
  ///
  /// - Throws: `unsupported` if a tensor's type differs, or an additive diff cannot hold a change;
  ///   `mismatch` for ambiguous names; `io`.
  /// - Complexity: O(size of both); memory for a few windows of blocks. Additive diffs with a
  ///   density read both files two or three more times.
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
      progress.finish()
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
        summary.changedElements = [summary.changedElements, pair.shape.count].clampedSum
        summary.changes += changes
      }
      progress.add(pair.byteCount)
    }
    progress.finish()
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

/// The result of writing a tensor of two checkpoints to the diff.
package struct WrittenPair: Sendable {
  /// The number of values in the sparse entry; nil if there is no entry.
  package var changes: UInt64?
  /// The fingerprint before and after; nil if the tensor does not exist.
  package var base, result: Fingerprint?

  package init(changes: UInt64? = nil, base: Fingerprint? = nil, result: Fingerprint? = nil) {
    (self.changes, self.base, self.result) = (changes, base, result)
  }
}

extension [TensorPair] {
  /// Returns whether a tensor with elements smaller than a byte changes, which the header of a diff
  /// declares.
  fileprivate func arePacked() throws(DiffError) -> Bool {
    for pair in self where pair.type.unit > 1 {
      if pair.base == nil || pair.tuned == nil || pair.isReshape { return true }
      if try pair.isChanged() { return true }
    }
    return false
  }
}

/// Refuses two checkpoints without a common name of a tensor: different models, or one model with
/// different names.
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
  /// The name in the diff: that in the base, or in the tuned checkpoint if the base lacks the
  /// tensor.
  let name: TensorName
  let base, tuned: StoredTensor?
  let baseFile, tunedFile: any Checkpoint

  var type: ElementType { (base ?? tuned)?.type ?? .u8 }
  var shape: Shape { (base ?? tuned)?.shape ?? .scalar }
  var byteCount: UInt64 { (base ?? tuned)?.byteCount ?? 0 }

  var isOptimizerState: Bool { (base ?? tuned)?.isOptimizerState ?? false }

  /// True if both have the tensor, in different shapes.
  var isReshape: Bool {
    if let base, let tuned { base.shape != tuned.shape } else { false }
  }

  /// Returns all tensors of either checkpoint, in order of names.
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
            "is \(tensor.type) in the base, \(other.type) in \(tuned.path): "
              + "a diff cannot change a type",
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

  /// Returns the error of two names that could not be distinguished when the diff is applied.
  private static func ambiguous(
    _ tensor: StoredTensor, _ other: TensorName, _ file: any Checkpoint
  ) -> DiffError {
    DiffError(
      .mismatch,
      "is ambiguous: '\(other)' matches the same tensor; rename one of them",
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
    var buffer: [UInt8] = []
    try Blocks.forEachWindow(of: tensor.byteCount, width: tensor.type.width) {
      window throws(DiffError) in
      for block in window {
        try file.read(tensor, block, into: &buffer)
        builder.append(BlockHashes(buffer.span))
        try writer.append(at: block.lowerBound / width, every: buffer.span)
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
