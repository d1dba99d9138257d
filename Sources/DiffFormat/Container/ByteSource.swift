import SystemSupport
import TensorCore

/// Bytes that can be read at any offset: a file, memory, or ranges fetched over a network.
public protocol ByteSource: Sendable {
  /// The path or address that errors name; nil if there is none.
  var name: String? { get }

  /// How many bytes there are.
  var size: UInt64 { get throws(DiffError) }

  /// Fills `buffer` with the bytes from `offset` on; throws `truncated` if there are not enough.
  func read(at offset: UInt64, into buffer: inout MutableSpan<UInt8>) throws(DiffError)
}

extension File: ByteSource {
  /// The path.
  public var name: String? { path }
}

extension ByteSource {
  /// None.
  public var name: String? { nil }

  /// The bytes of a range that the caller has checked against `size`.
  func bytes(at offset: UInt64, count: Int) throws(DiffError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var span = bytes.mutableSpan
    try read(at: offset, into: &span)
    return bytes
  }
}

/// Bytes in memory.
public struct MemorySource: ByteSource {
  /// What the bytes were read from, if that has a name.
  public let name: String?
  private let bytes: [UInt8]

  /// A source that serves `bytes`.
  public init(_ bytes: [UInt8], name: String? = nil) {
    self.bytes = bytes
    self.name = name
  }

  /// How many bytes there are.
  public var size: UInt64 { UInt64(bytes.count) }

  /// Fills `buffer` with the bytes from `offset` on.
  public func read(at offset: UInt64, into buffer: inout MutableSpan<UInt8>) throws(DiffError) {
    guard offset <= size, UInt64(buffer.count) <= size - offset else {
      throw DiffError(.truncated, "the data ends too early", path: name, offset: size)
    }
    let start = Int(offset)
    buffer.copy(bytes.span.extracting(start..<start + buffer.count))
  }
}

/// Where a diff is written to, forwards only.
public protocol ByteSink: AnyObject {
  /// Appends `bytes`.
  func write(_ bytes: Span<UInt8>) throws(DiffError)
}

/// A sink that keeps everything in memory.
public final class MemorySink: ByteSink {
  /// What was written so far.
  public private(set) var bytes: [UInt8] = []

  /// An empty sink.
  public init() {}

  /// Appends `bytes`.
  public func write(_ bytes: Span<UInt8>) {
    self.bytes.append(copying: bytes)
  }
}

/// A sink that appends to a new file, which gets its name on `commit`.
public final class FileSink: ByteSink {
  private let output: OutputFile
  private var offset: UInt64 = 0

  /// Prepares a file that appears at `path` when it is complete.
  ///
  /// - Throws: `exists` if there is a file and `overwriting` is false.
  public init(_ path: String, overwriting: Bool = false) throws(DiffError) {
    output = try OutputFile(path, overwriting: overwriting)
  }

  /// Appends `bytes`.
  public func write(_ bytes: Span<UInt8>) throws(DiffError) {
    try output.file.write(bytes, at: offset)
    offset += UInt64(bytes.count)
  }

  /// Makes the file durable and gives it its name.
  public func commit() throws(DiffError) { try output.commit() }

  /// Takes the name away again, unless it was that of another file before.
  package func withdraw() { output.withdraw() }
}
