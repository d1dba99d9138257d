import Checkpoints
import DiffFormat
import Kernels
import SystemSupport
import TensorCore

extension Diffs {
  /// Writes the exact diff that a delta of another tool stands for on its base. The new bytes of each
  /// tensor must have the checksum that the delta states, which a wrong base does not give.
  ///
  /// - Parameter options: names, profile and metadata; values are exact.
  /// - Throws: `mismatch` for tensors that the base lacks; `wrongBase` or `checksum` for other
  ///   bytes than the delta's; `malformed` for damaged payloads; `io`.
  /// - Complexity: O(bytes of the tensors that change), in memory of a few blocks.
  public static func `import`(
    _ delta: PublishedDelta, on base: any Checkpoint, into sink: any ByteSink,
    _ options: ImportOptions = ImportOptions(), progress handler: ProgressHandler? = nil
  ) throws(DiffError) -> ExchangeSummary {
    let stamps = InputStamps([base])
    let names = TensorNames(base, options.names)
    var found: [(stored: StoredTensor, payload: PublishedDelta.Payload)] = []
    var missing: [TensorName] = []
    var taken: [TensorName: TensorName] = [:]
    for payload in delta.payloads {
      guard let stored = try names.find(payload.name) else {
        missing.append(payload.name)
        continue
      }
      if let other = taken.updateValue(payload.name, forKey: stored.name) {
        throw DiffError(
          .mismatch, "is the same tensor as '\(other)' in \(base.path)", path: delta.path,
          tensor: payload.name)
      }
      found.append((stored, payload))
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
    for (stored, payload) in found {
      let pass = DeltaImport(delta: delta, payload: payload, base: base, stored: stored)
      if let changes = try pass.write(to: writer) {
        summary.tensors += 1
        summary.changes += changes
      }
      progress.add(stored.byteCount)
    }
    try stamps.check()
    try writer.finish()
    return summary
  }
}

/// A tensor of a delta on its way into a diff.
private struct DeltaImport {
  let delta: PublishedDelta
  let payload: PublishedDelta.Payload
  let base: any Checkpoint
  let stored: StoredTensor

  /// Writes the tensor's entry, unless it is unchanged: then nil. Returns the number of changes.
  func write(to writer: DiffWriter) throws(DiffError) -> UInt64? {
    // Fireworks' own reader does not look at what it has compressed of no bytes.
    guard stored.byteCount > 0 else { return nil }
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
    return try made.end().changes
  }

  private func newHash() -> DeltaHash {
    DeltaHash(delta.checksum, isDecimal: !delta.format.isVersioned)
  }

  /// Why the new bytes are not those of the delta.
  private func refusal() throws(DiffError) -> DiffError {
    var hash = newHash()
    var room: [UInt8] = []
    try Blocks.forEachWindow(of: stored.byteCount, width: stored.type.width) {
      window throws(DiffError) in
      for block in window {
        try base.read(stored, block, into: &room)
        hash.update(room.span)
      }
    }
    let isDone = hash.text == payload.checksum.lowercased()
    return DiffError(
      .wrongBase,
      isDone
        ? "is at the result of \(delta.path) already"
        : "becomes other bytes than those whose checksum \(delta.path) states: another base"
          + (delta.baseVersion.map { " than version \($0)" } ?? "") + ", or a damaged delta",
      path: base.path, tensor: stored.name)
  }
}
