import StrictJSON
import SystemSupport
import TensorCore

/// A safetensors file in the making whose tensors are byte vectors of lengths that are not known
/// before they are written, each with a fact about it in the metadata.
package final class SafeTensorsPayloads {
  private let output: OutputFile
  /// Where the tensors begin; the header is written last, into as much as it can take at most.
  private let start: UInt64
  private var header = SafeTensorsHeader()
  private var end: UInt64 = 0

  /// - Parameters:
  ///   - names: the tensors, in the order in which they will be written.
  ///   - factLength: how many ASCII characters a tensor's fact has at most.
  /// - Throws: `exists`, `io`; `limit` for more tensors than a header takes.
  package init(
    _ path: String, _ names: [TensorName], factLength: Int, overwriting: Bool
  ) throws(DiffError) {
    output = try OutputFile(path, overwriting: overwriting)
    var largest = SafeTensorsHeader()
    largest.metadata = names.map {
      JSONValue.Member($0.description, .string(String(repeating: "f", count: factLength)))
    }
    largest.items = names.map {
      .init(name: $0, type: .u8, dtype: "U8", extents: [.max], range: .max ..< .max)
    }
    start = UInt64(largest.bytes.count)
    guard start - 8 <= SafeTensorsHeader.maximumLength else {
      throw DiffError(
        .limit, "so many tensors need a header that no reader takes", path: path)
    }
    header.metadata = []
  }

  /// Adds bytes to the tensor that `end` will name.
  package func append(_ bytes: Span<UInt8>) throws(DiffError) {
    guard bytes.count > 0 else { return }
    try output.file.write(bytes, at: start + end)
    end += UInt64(bytes.count)
  }

  /// Ends a tensor and states the fact about it.
  package func end(_ name: TensorName, fact: String) {
    let begin = header.items.last?.range.upperBound ?? 0
    header.items.append(
      .init(name: name, type: .u8, dtype: "U8", extents: [end - begin], range: begin..<end))
    header.metadata?.append(JSONValue.Member(name.description, .string(fact)))
  }

  /// Writes the header and gives the file its name.
  package func commit() throws(DiffError) {
    let bytes = header.bytes(padding: Int(start))
    precondition(bytes.count == Int(start), "not the names that were announced")
    try output.file.write(bytes.span, at: 0)
    try output.commit()
  }
}
