import DiffFormat
import DiffOperations
import Kernels
import TensorCore
import TestSupport

/// An additive diff of dense deltas, zeros left out, with the fingerprint of a base of zeros.
/// Values must be representable in the type of the values.
func additiveDiff(
  _ tensors: [(name: TensorName, shape: [UInt64], deltas: [Double])], values: FloatType = .f16,
  scale: Int = 0, metadata: [String: String] = [:], heads: [DiffFormatHead] = []
) throws -> DiffReader {
  var list: [Contents.Tensor] = []
  for tensor in tensors {
    guard let shape = Shape(tensor.shape) else { continue }
    let positions = tensor.deltas.indices.filter { tensor.deltas[$0] != 0 }
    guard !positions.isEmpty else { continue }
    var bytes = [UInt8](repeating: 0, count: positions.count * values.width)
    var span = bytes.mutableSpan
    let deltas = positions.map { tensor.deltas[$0] }
    Kernels.narrow(
      deltas.span, values, factor: Double(sign: .plus, exponent: -scale, significand: 1),
      into: &span)
    let zeros = [UInt8](repeating: 0, count: Int(shape.count) * 4)
    list.append(
      Contents.Tensor(
        DiffEntry(
          tensor.name, .add(values: values, scale: scale), .f32, shape,
          base: .of(.f32, shape, zeros.span)),
        Changes(positions.map(UInt64.init), bytes)))
  }
  for head in heads {
    list.append(
      Contents.Tensor(
        DiffEntry(head.name, .insert, .u8, Shape(vector: UInt64(head.bytes.count))),
        Changes(whole: head.bytes, width: 1)))
  }
  list.sort { $0.entry.name < $1.entry.name }
  return try DiffReader(bytes: Contents(metadata: metadata, list).encoded())
}

/// A tensor of bytes that the base lacks.
struct DiffFormatHead {
  let name: TensorName
  let bytes: [UInt8]
}

extension DiffReader {
  /// The whole file.
  var bytes: [UInt8] {
    get throws {
      var bytes = [UInt8](repeating: 0, count: Int(size))
      var span = bytes.mutableSpan
      try source.read(at: 0, into: &span)
      return bytes
    }
  }

  /// The changes to a tensor, zeros included.
  func dense(_ name: TensorName, count: Int) throws -> [Double] {
    var dense = [Double](repeating: 0, count: count)
    guard let entry = entry(named: name), case .add(let values, let scale) = entry.operation
    else { return dense }
    var pages = pages(of: entry)
    while let page = try pages.next() {
      var numbers = [Double](repeating: 0, count: page.count)
      var span = numbers.mutableSpan
      Kernels.widen(
        page.values, values, factor: Double(sign: .plus, exponent: scale, significand: 1),
        into: &span)
      for i in 0..<page.count { dense[Int(page.start) + Int(page.offsets[i])] = numbers[i] }
    }
    return dense
  }
}

/// The diff that a merge makes.
func merged(
  _ diffs: [DiffReader], weights: [Double]? = nil, _ options: MergeOptions = MergeOptions()
) throws -> DiffReader {
  let sink = MemorySink()
  _ = try Diffs.merge(
    diffs.enumerated().map { MergeInput($1, weight: weights?[$0] ?? 1) }, into: sink, options)
  return try DiffReader(bytes: sink.bytes)
}
