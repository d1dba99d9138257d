import Algorithms
import Checkpoints
import DiffFormat
import DiffOperations
import TensorCore

/// What a training learned: what is added to the base, and the head.
public struct Finetune {
  /// The parameters.
  public let layout: ParameterLayout
  /// The values, base and additions together, as the training had them in float32.
  public let values: FloatBuffer
  /// Which elements change: their places in the flat buffers, ascending.
  public let positions: [Int]
  /// How many were asked for; more than there are if gates left fewer, or too much is frozen.
  public let wanted: Int?
  /// Of gates, the share of elements that were not zero when the selection was made.
  public let densityBefore: Double?
  /// What is added at each position.
  let additions: [Float]

  /// Elements that change / elements of the body.
  public var density: Double { Double(positions.count) / Double(max(1, layout.bodyCount)) }

  /// Writes the diff: float16 additions with a scale for each tensor, and the head whole.
  ///
  /// - Returns: How many values were added.
  /// - Throws: `unsupported` if a value is not finite; what writing throws.
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
