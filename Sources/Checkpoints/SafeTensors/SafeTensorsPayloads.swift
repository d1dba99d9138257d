import StrictJSON
import SystemSupport
import TensorCore

/// A safetensors file that is being written, whose tensors are byte vectors of lengths unknown in
/// advance, each with an entry in the metadata.
package final class SafeTensorsPayloads {
  private let output: OutputFile
  /// The offset of the first tensor. The header is written last, into space for its maximum length.
  private let start: UInt64
  private var header = SafeTensorsHeader()
  private var end: UInt64 = 0

  /// - Parameters:
  ///   - names: the tensors, in the order in which they will be written.
  ///   - valueLength: the maximum number of ASCII characters of a metadata value.
  /// - Throws: `exists`, `io`; `limit` for more tensors than a header can hold.
  package init(
    _ path: String, _ names: [TensorName], valueLength: Int, overwriting: Bool
  ) throws(DiffError) {
    output = try OutputFile(path, overwriting: overwriting)
    var largest = SafeTensorsHeader()
    largest.metadata = names.map {
      JSONValue.Member($0.description, .string(String(repeating: "f", count: valueLength)))
    }
    largest.items = names.map {
      .init(name: $0, type: .u8, dtype: "U8", extents: [.max], range: .max ..< .max)
    }
    start = UInt64(largest.bytes.count)
    guard start - 8 <= SafeTensorsHeader.maximumLength else {
      throw DiffError(
        .limit, "too many tensors for one header", path: path)
    }
    header.metadata = []
  }

  /// Appends bytes to the current tensor, which `end` will name.
  package func append(_ bytes: Span<UInt8>) throws(DiffError) {
    guard bytes.count > 0 else { return }
    try output.file.write(bytes, at: start + end)
    end += UInt64(bytes.count)
  }

  /// Ends the current tensor and adds its entry to the metadata.
  package func end(_ name: TensorName, value: String) {
    let begin = header.items.last?.range.upperBound ?? 0
    header.items.append(
      .init(name: name, type: .u8, dtype: "U8", extents: [end - begin], range: begin..<end))
    header.metadata?.append(JSONValue.Member(name.description, .string(value)))
  }

  /// Writes the header and moves the file to its destination.
  package func commit() throws(DiffError) {
    let bytes = header.bytes(padding: Int(start))
    precondition(bytes.count == Int(start), "other tensors than those given")
    try output.file.write(bytes.span, at: 0)
    try output.commit()
  }
}
