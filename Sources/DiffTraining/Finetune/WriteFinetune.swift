import Checkpoints
import DiffFormat
import DiffOperations
import Kernels
import TensorCore

/// A tensor of float32 that a finetune has and its base lacks, or has with other contents.
package struct HeadTensor: Sendable {
  package let name: TensorName
  package let shape: Shape
  package let values: [Float]

  package init(name: TensorName, shape: Shape, values: [Float]) {
    self.name = name
    self.shape = shape
    self.values = values
  }
}

/// Writes the diff of a finetune: float16 additions at the given positions, each of which counts
/// even where its value rounds to zero, and the head whole. Base and result have fingerprints.
///
/// - Parameters:
///   - names: The names of the tensors that are changed.
///   - additions: Returns the additions to the elements of a tensor, which may be zero; called for
///     one tensor at a time, in order of names.
/// - Returns: The number of values written.
/// - Throws: `unsupported` if a value is not finite or the base has a head of another type,
///   `mismatch` for tensors that the base lacks.
/// - Complexity: O(bytes of the base), in memory of one tensor's additions.
package func writeFinetune(
  of base: any Checkpoint, _ names: [TensorName], head: [HeadTensor], into sink: any ByteSink,
  metadata: [String: String],
  _ additions: (TensorName) throws(DiffError) -> ChangeRun<Float>
) throws(DiffError) -> UInt64 {
  let writer = try DiffWriter(sink, metadata: metadata)
  let stored = TensorNames(base)
  var written: UInt64 = 0
  let heads = Dictionary(uniqueKeysWithValues: head.map { ($0.name, $0) })
  var pairs: [TensorName: WrittenPair] = [:]
  for name in (names + head.map(\.name)).sorted() {
    let tensor = try stored.find(name)
    if let head = heads[name] {
      pairs[tensor?.name ?? name] = try write(head, over: tensor, in: base, writer)
      continue
    }
    guard let tensor else {
      throw DiffError(.mismatch, "no such tensor", path: base.path, tensor: name)
    }
    let additions = try additions(name)
    guard !additions.isEmpty else { continue }
    pairs[tensor.name] = try write(additions, to: tensor, in: base, writer)
    written += UInt64(additions.count)
  }
  try writer.state(base, pairs)
  try writer.finish()
  return written
}

private func write(
  _ additions: ChangeRun<Float>, to tensor: StoredTensor, in base: any Checkpoint,
  _ writer: DiffWriter
) throws(DiffError) -> WrittenPair {
  guard let type = tensor.type.float else {
    throw DiffError(
      .unsupported, "is not of a floating-point type", path: base.path, tensor: tensor.name)
  }
  let most = additions.values.reduce(0) { max($0, Double($1.magnitude)) }
  guard additions.values.allSatisfy(\.isFinite) else {
    throw DiffError(.unsupported, "a change is not finite: training diverged", tensor: tensor.name)
  }
  let scale = DiffEntry.scale(forLargest: most, .f16, in: type)
  let entry = DiffEntry(
    tensor.name, .add(values: .f16, scale: scale), tensor.type, tensor.shape)
  try writer.begin(entry)
  var before = Fingerprint.Builder(tensor.type, tensor.shape)
  var after = before
  let width = UInt64(tensor.type.width)
  var bytes: [UInt8] = []
  try Blocks.forEachWindow(of: tensor.byteCount, width: tensor.type.width) {
    window throws(DiffError) in
    for block in window {
      try base.read(tensor, block, into: &bytes)
      let hash = XXH3.hash128(bytes.span)
      before.append(hash)
      let start = block.lowerBound / width
      let deltas = additions.view.sliced(to: start..<block.upperBound / width)
      guard !deltas.isEmpty else {
        after.append(hash)
        continue
      }
      let numbers = deltas.values.indices.map { Double(deltas.values[$0]) }
      let values = Kernels.narrowed(numbers.span, .f16, scale)
      let stored = ChangeView(at: deltas.start, deltas.offsets, values.span)
      var span = bytes.mutableSpan
      stored.apply(entry, to: &span, at: start)
      after.append(XXH3.hash128(bytes.span))
      try writer.append(stored)
    }
  }
  let pair = WrittenPair(base: before.fingerprint, result: after.fingerprint)
  try writer.end(base: pair.base, result: pair.result)
  return pair
}

/// Writes a head: as an insertion, or as an exact change of the base's.
private func write(
  _ head: HeadTensor, over tensor: StoredTensor?, in base: any Checkpoint, _ writer: DiffWriter
) throws(DiffError) -> WrittenPair {
  guard head.values.allSatisfy(\.isFinite) else {
    throw DiffError(.unsupported, "a value is not finite: training diverged", tensor: head.name)
  }
  let bytes = head.values.map(\.bitPattern).littleEndianBytes
  if let tensor {
    let tuned = StoredTensor(name: head.name, type: .f32, shape: head.shape, storage: .compact)
    return try writer.writeExact(
      tensor, in: base, to: tuned, in: HeldTensor(tuned, of: base.path, bytes: bytes))
  }
  try writer.begin(DiffEntry(head.name, .insert, .f32, head.shape))
  try writer.append(at: 0, every: bytes.span)
  let pair = WrittenPair(result: Fingerprint.of(.f32, head.shape, bytes.span))
  try writer.end(result: pair.result)
  return pair
}
