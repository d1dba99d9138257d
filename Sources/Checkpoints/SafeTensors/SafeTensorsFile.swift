import StrictJSON
import SystemSupport
import TensorCore

/// One file of a safetensors checkpoint, open for reading.
struct SafeTensorsFile: Sendable {
  let file: File
  let header: SafeTensorsHeader
  /// The offset of the first tensor's bytes.
  let start: UInt64

  init(_ path: String) throws(DiffError) {
    file = try File(ofCheckpoint: path)
    (header, start) = try SafeTensorsHeader.read(file)
  }

  /// Returns the tensors of supported types, as rows of the checkpoint's table.
  func tensors(file number: Int) -> [StoredTensor] {
    header.items.compactMap { item in
      guard let type = item.type, let shape = Shape(item.extents, of: type) else { return nil }
      return StoredTensor(
        name: item.name, type: type, shape: shape,
        storage: .contiguous(offset: start + item.range.lowerBound), file: number)
    }
  }

  /// The tensors of unsupported types.
  var skipped: [SkippedObject] {
    header.items.filter { $0.type == nil }.map {
      SkippedObject(name: $0.name, reason: "elements of type \($0.dtype)")
    }
  }

  /// Returns the entries of the metadata, the members of tensors' entries that the format does not
  /// define, and the tensors of unsupported types, with hashes.
  func otherContents(withWeights: Bool) throws(DiffError) -> [OtherContent] {
    let metadata = header.metadataTexts.sorted { $0.key < $1.key }.map { key, text in
      OtherContent(
        "__metadata__", attribute: key, "metadata", XXH3.hash128(Array(text.utf8).span))
    }
    let members = header.items.filter { $0.type != nil && !$0.others.isEmpty }.map {
      OtherContent($0.name, "other members of its header entry", XXH3.hash128($0.otherText.span))
    }
    let others = withWeights ? header.items.filter { $0.type == nil } : []
    return try metadata + members
      + others.map { (item) throws(DiffError) in
        let extents = item.extents.flatMap(\.littleEndianBytes) + item.otherText
        return OtherContent(
          item.name, "elements of type \(item.dtype)",
          try file.digest(
            of: start + item.range.lowerBound..<start + item.range.upperBound, after: extents))
      }
  }

  /// Fills `buffer` with bytes of a tensor of this file.
  func read(
    _ tensor: StoredTensor, at offset: UInt64, into buffer: inout MutableSpan<UInt8>
  ) throws(DiffError) {
    guard buffer.count > 0, case .contiguous(let first) = tensor.storage else { return }
    tensor.check(offset, buffer.count)
    do { try file.read(at: first + offset, into: &buffer) } catch {
      throw error.at(tensor: tensor.name)
    }
  }
}

extension SafeTensorsHeader.Item {
  /// The text of the members that the format does not define; empty if there are none.
  fileprivate var otherText: [UInt8] {
    others.isEmpty ? [] : Array(JSONValue.object(others).compact.utf8)
  }
}
