import Checkpoints
import DiffFormat
import Kernels
import SystemSupport
import TensorCore

extension Diffs {
  /// Writes the exact diff equivalent to a delta of another tool on its base, with the fingerprints of
  /// both checkpoints. The new bytes of each tensor must have the checksum in the delta, which detects
  /// a wrong base.
  ///
  /// A delta may name tied tensors of which the base stores one: payloads that are equal count once.
  ///
  /// - Parameters:
  ///   - delta: the delta to convert.
  ///   - base: the base of the delta.
  ///   - sink: the destination of the diff.
  ///   - options: names, profile and metadata; values are exact.
  ///   - handler: called repeatedly with the progress.
  /// - Throws: `mismatch` for tensors that the base lacks; `wrongBase` or `checksum` if the new
  ///   bytes do not match; `malformed` for damaged payloads; `io`.
  /// - Complexity: O(bytes of the base); memory for a few blocks.
  public static func `import`(
    _ delta: PublishedDelta, on base: any Checkpoint, into sink: any ByteSink,
    _ options: ImportOptions = ImportOptions(), progress handler: ProgressHandler? = nil
  ) throws(DiffError) -> ExchangeSummary {
    let stamps = InputStamps([base])
    let names = TensorNames(base, options.names)
    var found: [(stored: StoredTensor, payload: PublishedDelta.Payload)] = []
    var unknown: [PublishedDelta.Payload] = []
    var taken: [TensorName: PublishedDelta.Payload] = [:]
    for payload in delta.payloads {
      guard let stored = try names.find(payload.name) else {
        unknown.append(payload)
        continue
      }
      guard let other = taken.updateValue(payload, forKey: stored.name) else {
        found.append((stored, payload))
        continue
      }
      guard try payload.equals(other) else {
        throw DiffError(
          .mismatch, "is the same tensor as '\(other.name)' in \(base.path)", path: delta.path,
          tensor: payload.name)
      }
    }
    var missing: [TensorName] = []
    let known = Dictionary(found.map { ($0.payload.checksum, $0.payload) }) { first, _ in first }
    for payload in unknown {
      // Fireworks' files name unchanged tensors too, which may be equal without being tied.
      if delta.format.isVersioned, let other = known[payload.checksum], try payload.equals(other) {
        continue
      }
      missing.append(payload.name)
    }
    try names.requireAll(missing)
    found.sort { $0.stored.name < $1.stored.name }
    var metadata = options.metadata
    if let version = delta.version { metadata["delta_version"] = version }
    if let version = delta.baseVersion { metadata["delta_base_version"] = version }
    let writer = try DiffWriter(
      sink, metadata: metadata, profile: options.profile,
      packed: found.contains { $0.stored.type.unit > 1 })
    var summary = ExchangeSummary()
    var progress = ProgressCounter(
      "convert", total: found.map(\.stored.byteCount).clampedSum, handler)
    var written: [TensorName: WrittenPair] = [:]
    for (stored, payload) in found {
      let pass = DeltaImport(delta: delta, payload: payload, base: base, stored: stored)
      let pair = try pass.write(to: writer)
      if let changes = pair.changes {
        summary.tensors += 1
        summary.changes += changes
      }
      written[stored.name] = pair
      progress.add(stored.byteCount)
    }
    progress.finish()
    try writer.state(base, written)
    try stamps.check()
    try writer.finish()
    return summary
  }
}

extension PublishedDelta.Payload {
  /// Returns whether two payloads have the same bytes and lead to the same checksum.
  ///
  /// - Complexity: O(compressed bytes) if sizes and checksums are equal.
  fileprivate func equals(_ other: Self) throws(DiffError) -> Bool {
    guard checksum == other.checksum, stored.byteCount == other.stored.byteCount else {
      return false
    }
    return try file.fingerprint(of: stored) == other.file.fingerprint(of: other.stored)
  }
}

/// Imports one tensor of a delta into a diff.
private struct DeltaImport {
  let delta: PublishedDelta
  let payload: PublishedDelta.Payload
  let base: any Checkpoint
  let stored: StoredTensor

  /// Writes the entry of the tensor, if it changes.
  func write(to writer: DiffWriter) throws(DiffError) -> WrittenPair {
    // Like Fireworks' own reader, ignores the payload of an empty tensor.
    guard stored.byteCount > 0 else {
      let empty = try base.fingerprint(of: stored)
      return WrittenPair(base: empty, result: empty)
    }
    var reader = try DeltaReader(delta, payload, byteCount: stored.byteCount)
    var hash = newHash()
    let width = UInt64(stored.type.width)
    var made = ExactEntry(DiffEntry(stored.name, .xor, stored.type, stored.shape), to: writer)
    var blocks = [ExactEntry.Block](repeating: ExactEntry.Block(), count: Blocks.perWindow)
    try Blocks.forEachWindow(of: stored.byteCount, width: stored.type.width) {
      window throws(DiffError) in
      try parallelForEach(&blocks, count: window.count) { index, block throws(DiffError) in
        try base.read(stored, window[index], into: &block.base)
        block.tuned = block.base
      }
      for index in window.indices {
        var tuned: [UInt8] = []
        swap(&blocks[index].tuned, &tuned)
        try reader.apply(to: &tuned, at: window[index].lowerBound)
        hash.update(tuned.span)
        swap(&blocks[index].tuned, &tuned)
      }
      try parallelForEach(&blocks, count: window.count) { index, block throws(DiffError) in
        block.compare(width: stored.type.width, at: window[index].lowerBound / width, .xor)
      }
      for block in blocks.prefix(window.count) { try made.append(block) }
    }
    try reader.finish()
    guard checksumsMatch(hash.text, payload.checksum.lowercased()) else { throw try refusal() }
    return try made.end()
  }

  private func newHash() -> DeltaHash {
    DeltaHash(delta.checksum, isDecimal: !delta.format.isVersioned)
  }

  /// Returns the error of new bytes that do not match the delta.
  private func refusal() throws(DiffError) -> DiffError {
    var hash = newHash()
    var buffer: [UInt8] = []
    try Blocks.forEachWindow(of: stored.byteCount, width: stored.type.width) {
      window throws(DiffError) in
      for block in window {
        try base.read(stored, block, into: &buffer)
        hash.update(buffer.span)
      }
    }
    let isDone = hash.text == payload.checksum.lowercased()
    return DiffError(
      .wrongBase,
      isDone
        ? "is at the result of \(delta.path) already"
        : "does not match the checksum in \(delta.path) afterwards: the base is wrong"
          + (delta.baseVersion.map { " (not version \($0))" } ?? "") + ", or the delta is damaged",
      path: base.path, tensor: stored.name)
  }
}
