import SystemSupport
import TensorCore

/// Bytes that can be read at any offset: a file, memory, or ranges fetched over a network.
public protocol ByteSource: Sendable {
  /// The path or address for error messages; nil if there is none.
  var name: String? { get }

  /// The number of bytes.
  var size: UInt64 { get throws(DiffError) }

  /// Fills `buffer` with the bytes at `offset`; throws `truncated` if there are not enough.
  func read(at offset: UInt64, into buffer: inout MutableSpan<UInt8>) throws(DiffError)
}

extension File: ByteSource {
  /// The path.
  public var name: String? { path }
}

extension ByteSource {
  /// No name.
  public var name: String? { nil }

  /// Returns the bytes of a range that the caller has checked against `size`.
  func bytes(at offset: UInt64, count: Int) throws(DiffError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var span = bytes.mutableSpan
    try read(at: offset, into: &span)
    return bytes
  }
}

/// Bytes in memory.
public struct MemorySource: ByteSource {
  /// The path or address that the bytes came from, if any.
  public let name: String?
  private let bytes: [UInt8]

  /// Creates a source of `bytes`.
  public init(_ bytes: [UInt8], name: String? = nil) {
    self.bytes = bytes
    self.name = name
  }

  /// The number of bytes.
  public var size: UInt64 { UInt64(bytes.count) }

  /// Fills `buffer` with the bytes at `offset`.
  public func read(at offset: UInt64, into buffer: inout MutableSpan<UInt8>) throws(DiffError) {
    guard offset <= size, UInt64(buffer.count) <= size - offset else {
      throw DiffError(.truncated, "the data ends too early", path: name, offset: size)
    }
    let start = Int(offset)
    buffer.copy(bytes.span.extracting(start..<start + buffer.count))
  }
}

/// A destination to which a diff is written sequentially.
public protocol ByteSink: AnyObject {
  /// Appends `bytes`.
  func write(_ bytes: Span<UInt8>) throws(DiffError)
}

/// A sink that keeps everything in memory.
public final class MemorySink: ByteSink {
  /// The bytes written so far.
  public private(set) var bytes: [UInt8] = []

  /// Creates an empty sink.
  public init() {}

  /// Appends `bytes`.
  public func write(_ bytes: Span<UInt8>) {
    self.bytes.append(copying: bytes)
  }
}

/// A sink that writes a new file, which appears at its path on `commit`.
public final class FileSink: ByteSink {
  private let output: OutputFile
  private var offset: UInt64 = 0

  /// Creates a sink whose file appears at `path` when it is complete.
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

  /// Makes the file durable and moves it to its path.
  public func commit() throws(DiffError) { try output.commit() }

  /// Removes the committed file from its path, unless it replaced another file.
  package func withdraw() { output.withdraw() }
}
