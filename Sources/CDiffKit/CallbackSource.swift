import CDiffKitHeader
import DiffFormat
import TensorCore

/// A source whose bytes a function of the caller reads, on the thread that reads the diff.
@safe final class CallbackSource: ByteSource, @unchecked Sendable {
  private let source: diffkit_source
  let name: String?

  init(_ source: diffkit_source) {
    unsafe self.source = source
    name = unsafe source.name.map { unsafe String(cString: $0) }
  }

  deinit { unsafe source.release?(source.context) }

  var size: UInt64 { unsafe source.length }

  func read(at offset: UInt64, into buffer: inout MutableSpan<UInt8>) throws(DiffError) {
    guard offset <= size, UInt64(buffer.count) <= size - offset else {
      throw DiffError(.truncated, "the data ends too early", path: name, offset: size)
    }
    guard buffer.count > 0 else { return }
    let answer = unsafe buffer.withUnsafeMutableBytes {
      unsafe source.read(source.context, offset, $0.baseAddress, $0.count)
    }
    guard answer == 0 else {
      throw DiffError(
        .io, "the caller's read function failed (\(answer))", path: name, offset: offset)
    }
  }
}
