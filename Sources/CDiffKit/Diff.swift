import CDiffKitHeader
import DiffFormat
import DiffOperations
import TensorCore

/// A `diffkit_diff`: a reader, and its texts as C strings. Immutable.
@safe final class Diff: Handled {
  static let noun = "diff"

  let reader: DiffReader
  private let names: [UnsafeMutablePointer<CChar>]
  /// Ascending by key.
  private let metadata: [(key: Text, value: Text)]

  /// A C string, and its length in bytes without the terminating zero.
  @unsafe struct Text {
    let start: UnsafeMutablePointer<CChar>
    let length: Int

    init(_ text: String) {
      unsafe start = cString(text)
      unsafe length = text.utf8.count
    }
  }

  init(_ reader: DiffReader) {
    self.reader = reader
    unsafe names = reader.map { unsafe cString($0.name.description) }
    unsafe metadata = reader.metadata
      .sorted { TensorName($0.key) < TensorName($1.key) }
      .map { unsafe (Text($0.key), Text($0.value)) }
  }

  deinit {
    for index in unsafe names.indices { unsafe names[index].deallocate() }
    for index in unsafe metadata.indices {
      unsafe metadata[index].key.start.deallocate()
      unsafe metadata[index].value.start.deallocate()
    }
  }

  /// The number of metadata pairs.
  var metadataCount: Int { unsafe metadata.count }

  /// Returns a metadata pair by its index.
  func metadata(at index: Int) throws(DiffError) -> (key: Text, value: Text) {
    guard unsafe metadata.indices.contains(index) else {
      throw DiffError(.usage, "there is no metadata \(index.asSize)", path: reader.path)
    }
    return unsafe metadata[index]
  }

  /// Returns the index of the entry with a name.
  func index(of name: TensorName) throws(DiffError) -> Int {
    guard let index = reader.index(named: name) else {
      throw DiffError(.usage, "is not in the diff", path: reader.path, tensor: name)
    }
    return index
  }

  /// Returns an entry by its index.
  func entry(_ index: Int) throws(DiffError) -> DiffEntry {
    guard reader.indices.contains(index) else {
      throw DiffError(.usage, "there is no entry \(index.asSize)", path: reader.path)
    }
    return reader[index]
  }

  /// Returns the description of an entry for C.
  func describe(_ index: Int) throws(DiffError) -> diffkit_entry {
    let entry = try self.entry(index)
    var out = unsafe diffkit_entry()
    unsafe out.size = MemoryLayout<diffkit_entry>.size
    unsafe out.name = UnsafePointer(names[index])
    unsafe out.name_length = entry.name.utf8.count
    unsafe out.operation = UInt32(entry.operation.number)
    unsafe out.type = UInt32(entry.type.rawValue)
    unsafe out.width = UInt32(entry.type.width)
    unsafe out.rank = UInt32(entry.shape.extents.count)
    unsafe withUnsafeMutableBytes(of: &out.extents) {
      unsafe $0.copyBytes(from: entry.shape.extents.flatMap(\.nativeBytes))
    }
    unsafe out.elements = entry.shape.count
    if let after = entry.newShape {
      unsafe out.rank_after = UInt32(after.extents.count)
      unsafe withUnsafeMutableBytes(of: &out.extents_after) {
        unsafe $0.copyBytes(from: after.extents.flatMap(\.nativeBytes))
      }
      unsafe out.elements_after = after.count
    }
    unsafe out.stored = entry.storedSize
    unsafe out.changes = entry.count
    unsafe out.value_type = out.type
    unsafe out.value_width = UInt32(entry.valueWidth)
    if case .add(let values, let scale) = entry.operation {
      unsafe out.value_type = UInt32(values.elementType.rawValue)
      unsafe out.scale = Int32(scale)
    }
    if let base = entry.base {
      unsafe out.flags |= DIFFKIT_HAS_BASE
      unsafe withUnsafeMutableBytes(of: &out.base) { unsafe $0.copyBytes(from: base.bytes) }
    }
    if let result = entry.result {
      unsafe out.flags |= DIFFKIT_HAS_RESULT
      unsafe withUnsafeMutableBytes(of: &out.result) { unsafe $0.copyBytes(from: result.bytes) }
    }
    return unsafe out
  }
}

extension DiffOperation {
  fileprivate var number: CInt {
    switch self {
    case .add: DIFFKIT_ADD
    case .replace: DIFFKIT_REPLACE
    case .xor: DIFFKIT_XOR
    case .insert: DIFFKIT_INSERT
    case .delete: DIFFKIT_DELETE
    case .reshape: DIFFKIT_RESHAPE
    }
  }
}

extension UInt64 {
  /// The bytes in the order of memory.
  fileprivate var nativeBytes: [UInt8] { unsafe withUnsafeBytes(of: self) { unsafe Array($0) } }
}
