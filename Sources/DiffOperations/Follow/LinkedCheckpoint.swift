import Checkpoints
import DiffFormat
import SystemSupport
import TensorCore

/// The read-only result of steps on a checkpoint, without a file. Each tensor is computed while it
/// is read, all diffs in one pass; memory is a window of blocks and the pages that overlap it.
///
/// Reading a tensor from the first byte to the last costs O(bytes + changes), also by several
/// threads that stay within a window of each other; a reader that goes back restarts the tensor.
package final class LinkedCheckpoint: Checkpoint, @unchecked Sendable {
  package let tensors: [StoredTensor]
  private let base: any Checkpoint
  private let contents: [TensorName: LinkedTensor]
  /// Held to move `cursor`, or to read from it.
  private let lock = ReadWriteLock()
  private var cursor: LinkedCursor?

  /// - Throws: `mismatch` if the steps do not follow from each other or from the tensors of `base`,
  ///   whose fingerprints are not compared; `unsupported` for a reverted step that keeps no old
  ///   values.
  package init(_ base: any Checkpoint, _ steps: [DiffStep]) throws(DiffError) {
    self.base = base
    let names = TensorNames(base)
    var rows: [TensorName: StoredTensor] = [:]
    for tensor in base.tensors { rows[tensor.name] = tensor }
    var contents: [TensorName: LinkedTensor] = [:]
    for chain in try StepChain.all(steps) {
      let stored = try names.find(chain.first.entry.name)
      let content = try LinkedTensor(chain, stored, in: base)
      let name = stored?.name ?? chain.first.entry.name
      contents[name] = content
      guard let content else {
        rows[name] = nil
        continue
      }
      // The aliases stay, but the storage does not: the tensor is computed, not read from a file.
      rows[name] = StoredTensor(
        name: name, aliases: stored?.aliases ?? [], type: content.type, shape: content.shape,
        storage: .unallocated)
    }
    self.contents = contents
    tensors = rows.values.sorted { $0.name < $1.name }
  }

  /// Creates a checkpoint of a single tensor.
  fileprivate init(_ tensor: LinkedTensor, _ row: StoredTensor, in base: any Checkpoint) {
    self.base = base
    tensors = [row]
    contents = [row.name: tensor]
  }

  package var path: String { base.path }
  package var format: CheckpointFormat? { base.format }
  package var metadata: [String: String] { base.metadata }
  package var files: [String] { base.files }
  package var skipped: [SkippedObject] { base.skipped }

  package func otherContents(withWeights: Bool) throws(DiffError) -> [OtherContent] {
    try base.otherContents(withWeights: withWeights)
  }

  package func read(
    _ tensor: StoredTensor, at offset: UInt64, into buffer: inout MutableSpan<UInt8>
  ) throws(DiffError) {
    guard let content = contents[tensor.name] else {
      return try base.read(tensor, at: offset, into: &buffer)
    }
    let size = UInt64(Blocks.size(width: tensor.type.width) * Blocks.perWindow)
    var done = 0
    while done < buffer.count {
      let start = offset + UInt64(done)
      let end = min(offset + UInt64(buffer.count), (start / size + 1) * size)
      var part = buffer._mutatingExtracting(done..<done + Int(end - start))
      try read(content, tensor.name, start..<end, into: &part)
      done += part.count
    }
  }

  /// Reads bytes within one window.
  private func read(
    _ content: LinkedTensor, _ name: TensorName, _ bytes: Range<UInt64>,
    into buffer: inout MutableSpan<UInt8>
  ) throws(DiffError) {
    while true {
      let made = try lock.reading { () throws(DiffError) -> [UInt8]? in
        guard let cursor, cursor.covers(name, bytes) else { return nil }
        return try cursor.bytes(bytes)
      }
      if let made { return buffer.copy(made.span) }
      try lock.writing { () throws(DiffError) in
        guard cursor?.covers(name, bytes) != true else { return }
        if cursor?.isBefore(name, bytes) != true { cursor = LinkedCursor(content, name) }
        // The cursor is taken, so that a tensor is restarted after an error halfway.
        guard var moved = cursor.take() else { return }
        try moved.move(to: bytes)
        cursor = moved
      }
    }
  }

  /// - Throws: `unsupported`, always: only the base is written, with the steps applied.
  package func makeOutput(
    at path: String, rewriting: Set<TensorName>, changing: [TableChange], overwriting: Bool
  ) throws(DiffError) -> any CheckpointOutput {
    throw DiffError(.unsupported, "a checkpoint computed from diffs cannot be written", path: path)
  }
}

/// The derivation of a tensor by steps.
struct LinkedTensor: Sendable {
  private(set) var origin: Origin
  /// The entries that change elements, in order.
  private(set) var entries: [DirectedEntry] = []
  private(set) var type: ElementType
  private(set) var shape: Shape

  /// The source of the elements that no entry changes.
  enum Origin: Sendable {
    /// None: the first entry holds all elements.
    case entries
    /// A tensor of a checkpoint.
    case stored(StoredTensor, any Checkpoint)
    /// A tensor that an entry reshapes.
    case reshaped(StoredTensor, any Checkpoint, DirectedEntry)
  }

  /// Derives a tensor from one of `base`, or from none; nil if it is deleted in the end.
  init?(
    _ chain: StepChain, _ stored: StoredTensor?, in base: any Checkpoint
  ) throws(DiffError) {
    let first = chain.first
    guard (stored == nil) == first.inserts else {
      throw DiffError(
        .mismatch,
        first.inserts ? "exists before a diff inserts it" : "is not in the checkpoint",
        path: base.path, tensor: first.entry.name)
    }
    (type, shape, origin) = (first.entry.type, first.shapeBefore, .entries)
    if let stored {
      guard stored.type == type, stored.shape == shape else {
        throw DiffError(
          .mismatch, "is \(stored.type) \(stored.shape), the diff was made for \(type) \(shape)",
          path: base.path, tensor: first.entry.name)
      }
      origin = .stored(stored, base)
    }
    var exists = stored != nil
    for entry in chain.entries {
      exists = !entry.deletes
      guard exists else { continue }
      try take(entry, in: base)
    }
    guard exists else { return nil }
  }

  private mutating func take(_ entry: DirectedEntry, in base: any Checkpoint) throws(DiffError) {
    if entry.isReversed && !entry.entry.operation.isReversible {
      throw DiffError(
        .unsupported, "'\(entry.entry.operation.name)' keeps no old values",
        path: entry.reader.path, tensor: entry.entry.name)
    }
    if entry.inserts {
      (origin, entries) = (.entries, [entry])
      (type, shape) = (entry.entry.type, entry.entry.shape)
    } else if entry.isReshape {
      let row = StoredTensor(
        name: entry.entry.name, type: type, shape: shape, storage: .unallocated)
      origin = .reshaped(row, LinkedCheckpoint(self, row, in: base), entry)
      entries = []
      shape = entry.shapeAfter
    } else {
      entries.append(entry)
    }
  }
}

/// A window that moves forward through a tensor and computes its bytes.
private struct LinkedCursor {
  private let name: TensorName
  private let content: LinkedTensor
  private var patch: Patch
  private var reshape: ReshapeStream?
  /// The bytes of the window, if the tensor is reshaped.
  private var reshaped: [UInt8] = []
  private var window: Range<UInt64> = 0..<0

  init(_ content: LinkedTensor, _ name: TensorName) {
    self.name = name
    self.content = content
    patch = Patch(content.entries, isSum: false)
    if case .reshaped(let stored, let source, let entry) = content.origin {
      reshape = ReshapeStream(entry, stored, in: source)
    }
  }

  private var width: UInt64 { UInt64(content.type.width) }

  /// Returns whether bytes of a tensor are in the window.
  func covers(_ name: TensorName, _ bytes: Range<UInt64>) -> Bool {
    name == self.name && window.lowerBound <= bytes.lowerBound
      && bytes.upperBound <= window.upperBound
  }

  /// Returns whether the window can be moved to bytes of a tensor.
  func isBefore(_ name: TensorName, _ bytes: Range<UInt64>) -> Bool {
    name == self.name && window.upperBound <= bytes.lowerBound
  }

  /// Moves the window to the one that holds these bytes.
  mutating func move(to bytes: Range<UInt64>) throws(DiffError) {
    let blockSize = UInt64(Blocks.size(width: content.type.width))
    let size = blockSize * UInt64(Blocks.perWindow)
    let end = content.shape.count * width
    var start = bytes.lowerBound / size * size
    // A reshaped tensor is computed from its first byte on.
    if reshape != nil { start = window.upperBound }
    repeat {
      let next = start..<min(end, start + size)
      reshaped.removeAll(keepingCapacity: true)
      var at = next.lowerBound
      while reshape != nil, at < next.upperBound {
        let block = at..<min(next.upperBound, at + blockSize)
        if let made = try reshape?.next(block) { reshaped += made }
        at = block.upperBound
      }
      window = next
      start = next.upperBound
    } while window.upperBound < bytes.upperBound
    try patch.move(to: window.lowerBound / width..<window.upperBound / width)
  }

  /// Returns bytes of the window. May be called by several threads.
  func bytes(_ range: Range<UInt64>) throws(DiffError) -> [UInt8] {
    var bytes: [UInt8]
    switch content.origin {
    case .entries: bytes = [UInt8](repeating: 0, count: range.count)
    case .stored(let tensor, let base):
      bytes = []
      try base.read(tensor, range, into: &bytes)
    case .reshaped:
      let start = Int(range.lowerBound - window.lowerBound)
      bytes = Array(reshaped[start..<start + range.count])
    }
    patch.apply(to: &bytes, range.lowerBound / width..<range.upperBound / width)
    return bytes
  }
}
