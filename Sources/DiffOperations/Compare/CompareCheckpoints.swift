import Checkpoints
import Kernels
import SystemSupport
import TensorCore

/// The result of comparing two checkpoints.
public struct CheckpointComparison: Sendable {
  /// A tensor that both checkpoints have.
  public struct Tensor: Sendable, Hashable {
    /// Its name in the first and in the second checkpoint.
    public var name, otherName: TensorName
    /// Its type and shape in the first and in the second checkpoint.
    public var type, otherType: ElementType
    public var shape, otherShape: Shape
    /// The number of elements that differ; nil if the type or shape differs.
    public var differing: UInt64?
    /// The greatest |second − first|, in float64; nil if no numbers were compared. NaN if only one
    /// of two elements is a number, infinite if only one is finite.
    public var largest: Double?
  }

  /// Content other than a tensor: an object, an attribute, an entry of the metadata, another file
  /// of a folder.
  public struct Other: Sendable, Hashable {
    /// The relation of the two checkpoints' contents.
    public enum State: String, Sendable, Hashable {
      case equal, different
      case onlyInFirst = "only-in-first"
      case onlyInSecond = "only-in-second"
      /// The content cannot be read, or the checkpoints have different formats.
      case notCompared = "not-compared"
    }

    /// The path of the object, or of the object that has the attribute.
    public var name: TensorName
    /// The name of the attribute; nil for other content.
    public var attribute: String?
    /// The kind of content, in words.
    public var kind: String
    /// The result of the comparison.
    public var state: State
    /// True if the content may be numeric, and so could be a tensor in a file of another format.
    public var mayHoldNumbers = true
  }

  /// The tensors that both checkpoints have, in the order of the first.
  public var tensors: [Tensor] = []
  /// The names of tensors that only one of them has.
  public var onlyInFirst: [TensorName] = [], onlyInSecond: [TensorName] = []

  /// The fingerprint of each whole checkpoint; nil if its names are ambiguous.
  public var fingerprint, otherFingerprint: Fingerprint?

  /// The contents other than tensors, compared by their bytes; between formats, the objects that
  /// are skipped in either checkpoint, not compared.
  public var others: [Other] = []
  /// True if the formats differ, so that only tensors were compared.
  public var comparesTensorsAlone = false

  /// True if both hold the same tensors.
  public var haveSameTensors: Bool {
    onlyInFirst.isEmpty && onlyInSecond.isEmpty && tensors.allSatisfy { $0.differing == 0 }
  }

  /// True if no difference was found and nothing that could differ was left uncompared; between
  /// formats, nothing that could be a tensor.
  public var areSame: Bool {
    haveSameTensors
      && others.allSatisfy { comparesTensorsAlone ? !$0.mayHoldNumbers : $0.state == .equal }
  }
}

extension Checkpoint {
  /// Compares two checkpoints of any formats tensor by tensor and, if they have the same format,
  /// their other contents byte by byte.
  ///
  /// - Throws: `io`, and `mismatch` if a name matches several tensors.
  /// - Complexity: O(bytes), on all cores; memory for a window of blocks of each.
  public func compare(
    with second: any Checkpoint, _ options: CompareOptions = CompareOptions(),
    progress handler: ProgressHandler? = nil
  ) throws(DiffError) -> CheckpointComparison {
    var comparison = CheckpointComparison()
    try options.names.requireDistinct(tensors.map(\.name), of: path)
    let names = TensorNames(second, options.names)
    var found: Set<TensorName> = []
    var pairs: [(StoredTensor, StoredTensor)] = []
    for tensor in tensors {
      guard let other = try names.find(tensor.name) else {
        comparison.onlyInFirst.append(tensor.name)
        continue
      }
      found.insert(other.name)
      pairs.append((tensor, other))
    }
    comparison.onlyInSecond = second.tensors.map(\.name).filter { !found.contains($0) }
    var progress = ProgressCounter(
      "compare", total: pairs.map { $0.0.byteCount }.clampedSum, handler)
    var hashes = TensorFingerprints()
    var otherHashes = hashes
    for (one, other) in pairs {
      var row = CheckpointComparison.Tensor(
        name: one.name, otherName: other.name, type: one.type, otherType: other.type,
        shape: one.shape, otherShape: other.shape)
      if one.type == other.type && one.shape == other.shape {
        let pass = ComparisonPass(first: (self, one), second: (second, other), options.tolerance)
        let result = try pass.run(&progress)
        (row.differing, row.largest) = (result.differing, result.largest)
        hashes.append(one.name, result.fingerprint)
        otherHashes.append(other.name, result.otherFingerprint)
      } else {
        hashes.append(one.name, try fingerprintIfReadable(of: one))
        otherHashes.append(other.name, try second.fingerprintIfReadable(of: other))
      }
      comparison.tensors.append(row)
    }
    let alone = Set(comparison.onlyInFirst)
    for tensor in tensors where alone.contains(tensor.name) {
      hashes.append(tensor.name, try fingerprintIfReadable(of: tensor))
    }
    for tensor in second.tensors where !found.contains(tensor.name) {
      otherHashes.append(tensor.name, try second.fingerprintIfReadable(of: tensor))
    }
    progress.finish()
    comparison.fingerprint = hashes.ofCheckpoint
    comparison.otherFingerprint = otherHashes.ofCheckpoint
    comparison.comparesTensorsAlone = container != second.container
    comparison.others =
      comparison.comparesTensorsAlone
      ? skippedOthers(skipped, .onlyInFirst) + skippedOthers(second.skipped, .onlyInSecond)
      : compareOthers(try otherContents(), try second.otherContents())
    return comparison
  }
}

/// Compares two tensors of one type and shape.
private struct ComparisonPass {
  /// The result for a block.
  struct Block: Sendable {
    var differing: UInt64 = 0
    var largest: Double?
    /// True if the bytes are the same.
    var areEqual = false

    mutating func add(_ other: Block) {
      differing += other.differing
      guard let theirs = other.largest else { return }
      largest = largest.map { $0.isNaN || theirs.isNaN ? .nan : max($0, theirs) } ?? theirs
    }
  }

  /// The result for a tensor.
  struct Result {
    var differing: UInt64
    var largest: Double?
    var fingerprint, otherFingerprint: Fingerprint
  }

  /// The buffers and result of one block.
  private struct BlockPair: Sendable {
    var first: [UInt8] = []
    var second: [UInt8] = []
    var hash = BlockHashes()
    var otherHash = BlockHashes()
    var result = Block()
  }

  let first, second: (checkpoint: any Checkpoint, tensor: StoredTensor)
  let tolerance: Tolerance

  init(
    first: (any Checkpoint, StoredTensor), second: (any Checkpoint, StoredTensor),
    _ tolerance: Tolerance
  ) {
    self.first = first
    self.second = second
    self.tolerance = tolerance
  }

  func run(_ progress: inout ProgressCounter) throws(DiffError) -> Result {
    let type = first.tensor.type
    var blocks = [BlockPair](repeating: BlockPair(), count: Blocks.perWindow)
    var all = Block(largest: type.float == nil && type.integer == nil ? nil : 0)
    var builder = Fingerprint.Builder(type, first.tensor.shape)
    var otherBuilder = builder
    try Blocks.forEachWindow(of: first.tensor.byteCount, width: type.width) {
      window throws(DiffError) in
      try parallelForEach(&blocks, count: window.count) { index, block throws(DiffError) in
        try first.checkpoint.read(first.tensor, window[index], into: &block.first)
        try second.checkpoint.read(second.tensor, window[index], into: &block.second)
        block.result = compare(block.first, block.second, type)
        block.hash = BlockHashes(block.first.span)
        block.otherHash = block.result.areEqual ? block.hash : BlockHashes(block.second.span)
      }
      for block in blocks.prefix(window.count) {
        all.add(block.result)
        builder.append(block.hash)
        otherBuilder.append(block.otherHash)
      }
      progress.add(window.reduce(0) { $0 + $1.upperBound - $1.lowerBound })
    }
    return Result(
      differing: all.differing, largest: all.largest, fingerprint: builder.fingerprint,
      otherFingerprint: otherBuilder.fingerprint)
  }

  private func compare(_ one: [UInt8], _ other: [UInt8], _ type: ElementType) -> Block {
    let found = Differences(from: one, to: other, width: type.width, at: 0, .replace)
    var result = Block(
      differing: UInt64(found.changes.count), areEqual: found.changes.isEmpty)
    guard !found.changes.isEmpty, let a = type.numbers(found.old),
      let b = type.numbers(found.changes.values)
    else { return result }
    var largest = 0.0
    var close = 0
    for (a, b) in zip(a, b) {
      let distance = a == b || a.isNaN && b.isNaN ? 0 : abs(b - a)
      largest = largest.isNaN || distance.isNaN ? .nan : max(largest, distance)
      if !tolerance.isExact && tolerance.areClose(a, b) { close += 1 }
    }
    result.differing -= UInt64(close)
    result.largest = largest
    return result
  }
}

extension ElementType {
  /// The width in bytes and signedness of an integer type; nil for other types.
  fileprivate var integer: (width: Int, isSigned: Bool)? {
    switch self {
    case .u8, .u16, .u32, .u64: (width, false)
    case .i8, .i16, .i32, .i64: (width, true)
    default: nil
    }
  }

  /// Returns elements as numbers, 64-bit integers rounded; nil for types that are not numeric.
  fileprivate func numbers(_ bytes: [UInt8]) -> [Double]? {
    if let float { return Kernels.widened(bytes.span, float, 0) }
    guard let (width, isSigned) = integer else { return nil }
    return stride(from: 0, to: bytes.count, by: width).map { start in
      let bits = bytes.span.littleEndian(at: start, width: width)
      let unused = 64 - 8 * width
      return isSigned
        ? Double(Int64(bitPattern: bits << unused) >> Int64(unused)) : Double(bits)
    }
  }
}
