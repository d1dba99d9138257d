import Algorithms
import Checkpoints
import DiffFormat
import DiffOperations
import TensorCore

/// The result of a training: the additions to the base, and the head.
public struct Finetune {
  /// The parameters.
  public let layout: ParameterLayout
  /// The values, base and additions together, in float32 as in the training.
  public let values: FloatBuffer
  /// The positions in the flat buffers of the elements that change, ascending.
  public let positions: [Int]
  /// The requested number of positions; larger than their count if fewer gates are open, or too
  /// much is frozen.
  public let wanted: Int?
  /// With gates, the share of elements that were not zero when positions were selected.
  public let densityBefore: Double?
  /// The number that is added at each position.
  let additions: [Float]

  /// Elements that change / elements of the body.
  public var density: Double { Double(positions.count) / Double(max(1, layout.bodyCount)) }

  /// Writes the diff: float16 additions with a scale for each tensor, and the head whole.
  ///
  /// - Returns: The number of values that were added.
  /// - Throws: `unsupported` if a value is not finite; errors of writing.
  @discardableResult
  public func write(
    _ base: any Checkpoint, into sink: any ByteSink, metadata: [String: String]
  ) throws(DiffError) -> UInt64 {
    let span = values.span
    let head = layout.parameters.filter(\.isHead).map { parameter in
      HeadTensor(
        name: parameter.name, shape: parameter.shape, values: parameter.range.map { span[$0] })
    }
    let body = layout.parameters.filter { !$0.isHead }
    return try writeFinetune(
      of: base, body.map(\.name), head: head, into: sink, metadata: metadata
    ) { name in
      guard let range = layout[name]?.range else { return ChangeRun() }
      let first = positions.partitioningIndex { $0 >= range.lowerBound }
      let end = positions.partitioningIndex { $0 >= range.upperBound }
      return ChangeRun(
        at: 0, positions[first..<end].map { UInt32($0 - range.lowerBound) },
        Array(additions[first..<end]))
    }
  }
}
