import SystemSupport
import TensorCore

/// A safetensors file that is being written.
final class SafeTensorsOutput: CheckpointOutput, @unchecked Sendable {
  private let output: OutputFile
  /// The tensors of the new file, by name.
  private let tensors = Guarded<[TensorName: StoredTensor]>([:])

  /// Writes a header and reserves space for its tensors.
  init(_ path: String, _ header: SafeTensorsHeader, overwriting: Bool) throws(DiffError) {
    output = try OutputFile(path, overwriting: overwriting)
    try write(header)
  }

  /// Writes the header of a source after changes, and copies the bytes of tensors that are neither
  /// deleted nor rewritten. An unchanged header is copied byte for byte.
  init(
    _ path: String, copying source: SafeTensorsFile, rewriting: Set<TensorName>,
    changing: [TableChange], overwriting: Bool
  ) throws(DiffError) {
    output = try OutputFile(path, overwriting: overwriting, permissionsOf: source.file)
    func isCopied(_ item: SafeTensorsHeader.Item) -> Bool {
      !rewriting.contains(item.name) && !item.range.isEmpty
    }
    do throws(DiffError) {
      guard !changing.isEmpty else {
        setTensors(source.header, source.start)
        try output.file.resize(to: source.file.size)
        try source.file.copy(0..<source.start, to: output.file)
        for run in source.header.items.filter(isCopied).map(\.range).joinedNeighbours {
          try source.file.copy(
            source.start + run.lowerBound..<source.start + run.upperBound, to: output.file)
        }
        return
      }
      let (header, kept): (SafeTensorsHeader, [Range<UInt64>?])
      do { (header, kept) = try source.header.changed(by: changing) } catch {
        throw error.at(path: source.file.path)
      }
      let start = try write(header)
      for (item, old) in zip(header.items, kept) {
        guard let old, isCopied(item) else { continue }
        try source.file.copy(
          source.start + old.lowerBound..<source.start + old.upperBound, to: output.file,
          at: start + item.range.lowerBound)
      }
    } catch { throw error.at(path: output.destination) }
  }

  /// Writes a header and reserves space for its tensors; returns the offset of the first.
  @discardableResult
  private func write(_ header: SafeTensorsHeader) throws(DiffError) -> UInt64 {
    let bytes = header.bytes
    guard bytes.count - 8 <= SafeTensorsHeader.maximumLength else {
      throw DiffError(
        .limit, "too many tensors for one header; use several files",
        path: output.destination)
    }
    try output.file.write(bytes.span, at: 0)
    let start = UInt64(bytes.count)
    try output.file.resize(to: start + (header.items.last?.range.upperBound ?? 0))
    setTensors(header, start)
    return start
  }

  private func setTensors(_ header: SafeTensorsHeader, _ start: UInt64) {
    tensors.withLock { tensors in
      for item in header.items {
        guard let type = item.type, let shape = Shape(item.extents, of: type) else { continue }
        tensors[item.name] = StoredTensor(
          name: item.name, type: type, shape: shape,
          storage: .contiguous(offset: start + item.range.lowerBound))
      }
    }
  }

  private func tensor(named name: TensorName) throws(DiffError) -> StoredTensor {
    guard let tensor = tensors.withLock({ $0[name] }) else {
      throw DiffError(
        .usage, "was not among the changes given when the output was created",
        path: output.destination,
        tensor: name)
    }
    return tensor
  }

  func write(
    _ bytes: Span<UInt8>, to tensor: StoredTensor, at offset: UInt64
  ) throws(DiffError) {
    let target = try self.tensor(named: tensor.name)
    guard case .contiguous(let start) = target.storage, bytes.count > 0 else { return }
    target.check(offset, bytes.count)
    try output.file.stream(bytes, at: start + offset)
  }

  func insert(
    _ name: TensorName, _ type: ElementType, _ shape: Shape
  ) throws(DiffError) -> StoredTensor { try tensor(named: name) }

  func delete(_ tensor: StoredTensor) throws(DiffError) {
    // Its bytes were not copied.
  }

  func reshape(_ tensor: StoredTensor, to shape: Shape) throws(DiffError) -> StoredTensor {
    try self.tensor(named: tensor.name)
  }

  func commit() throws(DiffError) { try output.commit() }
}

extension [Range<UInt64>] {
  /// The ranges, which are ascending, with adjacent ones joined.
  fileprivate var joinedNeighbours: [Range<UInt64>] {
    var joined: [Range<UInt64>] = []
    for range in self {
      if let last = joined.last, last.upperBound == range.lowerBound {
        joined[joined.count - 1] = last.lowerBound..<range.upperBound
      } else {
        joined.append(range)
      }
    }
    return joined
  }
}
