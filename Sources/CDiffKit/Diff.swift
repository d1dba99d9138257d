import CDiffKitHeader
import DiffFormat
import DiffOperations
import TensorCore

/// What a `diffkit_diff` is: a reader, and the names as C has them. Immutable.
@safe final class Diff {
  let reader: DiffReader
  private let names: [UnsafeMutablePointer<CChar>]

  init(_ reader: DiffReader) {
    self.reader = reader
    unsafe names = reader.map { entry in
      let bytes = entry.name.utf8.map { CChar(bitPattern: $0) } + [0]
      let name = UnsafeMutablePointer<CChar>.allocate(capacity: bytes.count)
      unsafe name.initialize(from: bytes, count: bytes.count)
      return unsafe name
    }
  }

  deinit { for index in unsafe names.indices { unsafe names[index].deallocate() } }

  /// The object behind a handle.
  static func from(_ handle: OpaquePointer?) throws(DiffError) -> Diff {
    guard let handle = unsafe handle else { throw DiffError(.usage, "no diff: NULL") }
    return unsafe Unmanaged<Diff>.fromOpaque(UnsafeRawPointer(handle)).takeUnretainedValue()
  }

  /// A handle that keeps the object until `release`.
  var handle: OpaquePointer { unsafe OpaquePointer(Unmanaged.passRetained(self).toOpaque()) }

  static func release(_ handle: OpaquePointer?) {
    guard let handle = unsafe handle else { return }
    unsafe Unmanaged<Diff>.fromOpaque(UnsafeRawPointer(handle)).release()
  }

  /// The index of the entry of a name.
  func index(of name: TensorName) throws(DiffError) -> Int {
    guard let index = reader.index(named: name) else {
      throw DiffError(.usage, "is not in the diff", path: reader.path, tensor: name)
    }
    return index
  }

  /// An entry by its index.
  func entry(_ index: Int) throws(DiffError) -> DiffEntry {
    guard reader.indices.contains(index) else {
      throw DiffError(.usage, "there is no entry \(index)", path: reader.path)
    }
    return reader[index]
  }

  /// Describes an entry to C.
  func describe(_ index: Int) throws(DiffError) -> diffkit_entry {
    let entry = try self.entry(index)
    var out = unsafe diffkit_entry()
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
  /// The bytes as memory has them.
  fileprivate var nativeBytes: [UInt8] { unsafe withUnsafeBytes(of: self) { unsafe Array($0) } }
}
