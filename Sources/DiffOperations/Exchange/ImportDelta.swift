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

  /// A block of both states; its room is used again.
  private struct Work: Sendable {
    var base: [UInt8] = []
    var tuned: [UInt8] = []
    var baseHash = BlockHashes()
    var tunedHash = BlockHashes()
    var differences = Differences()
  }

  /// Writes the tensor's entry, unless it is unchanged: then nil. Returns the number of changes.
  func write(to writer: DiffWriter) throws(DiffError) -> UInt64? {
    // Fireworks' own reader does not look at what it has compressed of no bytes.
    guard stored.byteCount > 0 else { return nil }
    var reader = try DeltaReader(delta, payload, byteCount: stored.byteCount)
    var hash = newHash()
    let width = UInt64(stored.type.width)
    var builders = (
      base: Fingerprint.Builder(stored.type, stored.shape),
      result: Fingerprint.Builder(stored.type, stored.shape)
    )
    var oldHash = XXH3Stream()
    var changes: UInt64 = 0
    var works = [Work](repeating: Work(), count: Blocks.perWindow)
    try Blocks.forEachWindow(of: stored.byteCount, width: stored.type.width) {
      window throws(DiffError) in
      try parallelForEach(&works, count: window.count) { index, work throws(DiffError) in
        try base.read(stored, window[index], into: &work.base)
        work.tuned = work.base
      }
      for index in window.indices {
        var tuned: [UInt8] = []
        swap(&works[index].tuned, &tuned)
        try reader.apply(to: &tuned, at: window[index].lowerBound)
        hash.update(tuned.span)
        swap(&works[index].tuned, &tuned)
      }
      try parallelForEach(&works, count: window.count) { index, work throws(DiffError) in
        work.differences = Differences(
          from: work.base, to: work.tuned, width: Int(width),
          at: window[index].lowerBound / width)
        work.baseHash = BlockHashes(work.base.span)
        work.tunedHash =
          work.differences.changes.isEmpty ? work.baseHash : BlockHashes(work.tuned.span)
      }
      for work in works.prefix(window.count) {
        builders.base.append(work.baseHash)
        builders.result.append(work.tunedHash)
        guard !work.differences.changes.isEmpty else { continue }
        if changes == 0 {
          try writer.begin(DiffEntry(stored.name, .xor, stored.type, stored.shape))
        }
        changes += UInt64(work.differences.changes.count)
        oldHash.update(work.differences.old.span)
        try writer.append(work.differences.changes)
      }
    }
    try reader.finish()
    guard checksumsMatch(hash.text, payload.checksum.lowercased()) else { throw try refusal() }
    guard changes > 0 else { return nil }
    try writer.end(
      base: builders.base.fingerprint, result: builders.result.fingerprint, old: oldHash.digest)
    return changes
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
