import TensorCore

/// An object that C holds as an opaque pointer.
protocol Handled: AnyObject {
  /// The name of the type in messages.
  static var noun: String { get }
}

extension Handled {
  /// Returns the object of a handle.
  static func from(_ handle: OpaquePointer?) throws(DiffError) -> Self {
    guard let handle = unsafe handle else { throw DiffError(.usage, "no \(noun): NULL") }
    return unsafe Unmanaged<Self>.fromOpaque(UnsafeRawPointer(handle)).takeUnretainedValue()
  }

  /// A handle that keeps the object until `release`.
  var handle: OpaquePointer { unsafe OpaquePointer(Unmanaged.passRetained(self).toOpaque()) }

  static func release(_ handle: OpaquePointer?) {
    guard let handle = unsafe handle else { return }
    unsafe Unmanaged<Self>.fromOpaque(UnsafeRawPointer(handle)).release()
  }
}

/// A C structure that begins with its size.
protocol Sized {
  /// `sizeof`, set by the caller.
  var size: Int { get set }
}

extension Sized {
  /// Reads a structure of the caller, of this version or of an earlier or a later one.
  ///
  /// - Parameter least: The size of the first version.
  static func read(
    _ pointer: UnsafePointer<Self>?, least: Int = MemoryLayout<Self>.size, into value: inout Self
  ) throws(DiffError) {
    guard let pointer = unsafe pointer, unsafe pointer.pointee.size >= least else { throw .null }
    let count = unsafe min(pointer.pointee.size, MemoryLayout<Self>.size)
    unsafe withUnsafeMutableBytes(of: &value) {
      unsafe $0.copyMemory(from: UnsafeRawBufferPointer(start: pointer, count: count))
    }
  }

  /// Writes a structure of the caller; members that only a later version has become zero.
  func write(
    to pointer: UnsafeMutablePointer<Self>?, least: Int = MemoryLayout<Self>.size
  ) throws(DiffError) {
    guard let pointer = unsafe pointer, unsafe pointer.pointee.size >= least else { throw .null }
    let size = unsafe pointer.pointee.size
    let target = unsafe UnsafeMutableRawBufferPointer(start: pointer, count: size)
    unsafe withUnsafeBytes(of: self) {
      unsafe target.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0.prefix(size)))
    }
    if size > MemoryLayout<Self>.size {
      unsafe UnsafeMutableRawBufferPointer(rebasing: target[MemoryLayout<Self>.size...])
        .initializeMemory(as: UInt8.self, repeating: 0)
    }
    unsafe pointer.pointee.size = size
  }
}

extension DiffError {
  static let null = DiffError(.usage, "a pointer is NULL, or a size or flag is invalid")
}

/// Returns a copy of a text as a C string.
func cString(_ text: String) -> UnsafeMutablePointer<CChar> {
  let bytes = text.utf8.map { CChar(bitPattern: $0) } + [0]
  let copy = UnsafeMutablePointer<CChar>.allocate(capacity: bytes.count)
  unsafe copy.initialize(from: bytes, count: bytes.count)
  return unsafe copy
}

/// Returns the text of a caller's C string.
///
/// - Throws: `usage` if it is not UTF-8: repaired, it would be another name or another file.
func text(_ start: UnsafePointer<CChar>) throws(DiffError) -> String {
  guard let string = unsafe String(validatingCString: start) else {
    throw DiffError(.usage, "a text is not UTF-8")
  }
  return string
}

extension ElementType {
  init(code: UInt32) throws(DiffError) {
    guard let type = UInt8(exactly: code).flatMap(ElementType.init(rawValue:)) else {
      throw DiffError(.usage, "there is no element type \(code)")
    }
    self = type
  }
}

extension Shape {
  init(
    rank: UInt32, _ extents: UnsafePointer<UInt64>?, of type: ElementType
  ) throws(DiffError) {
    guard unsafe rank == 0 || extents != nil, rank <= Shape.maximumRank,
      let shape = unsafe Shape(
        Array(UnsafeBufferPointer(start: rank == 0 ? nil : extents, count: Int(rank))), of: type)
    else {
      throw DiffError(
        .usage, "invalid shape: too many dimensions, too large, or not whole bytes")
    }
    self = shape
  }
}

extension Int {
  /// A `size_t` as messages show it: Swift has it with a sign.
  var asSize: UInt { UInt(bitPattern: self) }
}

/// The bytes of a caller's buffer.
func span(_ start: UnsafeRawPointer?, _ size: Int) throws(DiffError) -> UnsafeBufferPointer<UInt8> {
  guard unsafe start != nil || size == 0, size >= 0 else { throw .null }
  return unsafe UnsafeRawBufferPointer(start: start, count: size).bindMemory(to: UInt8.self)
}

/// Returns the bytes of a caller's buffer, mutable.
func span(
  _ start: UnsafeMutableRawPointer?, _ size: Int
) throws(DiffError) -> UnsafeMutableBufferPointer<UInt8> {
  guard unsafe start != nil || size == 0, size >= 0 else { throw .null }
  return unsafe UnsafeMutableRawBufferPointer(start: start, count: size).bindMemory(to: UInt8.self)
}
