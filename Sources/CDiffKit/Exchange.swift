import DiffFormat
import Kernels
import SystemSupport
import TensorCore

/// A `diffkit_exchange`: elements that are exchanged in tensors of the caller, in both directions.
final class Exchange: Handled {
  static let noun = "exchange"

  /// A run of changes of one tensor that one thread stores.
  private struct Part: Sendable {
    let tensor, width: Int
    /// The elements before and after.
    let before, after: ChangeRun<UInt8>

    /// The bytes of the tensor from the first change to the last, both included.
    var bytes: Range<Int> { Int(after.start) * width..<Int(after.view.end) * width }
  }

  private enum Outcome { case untouched, stored, refused }

  private var parts: [Part] = []
  private var tensorCount = 0

  /// The maximum number of changes of a part.
  private static let partCount = 1 << 13

  /// - Throws: `usage` if positions do not ascend.
  func add(
    width: Int, _ positions: UnsafeBufferPointer<UInt64>, _ before: Span<UInt8>,
    _ after: Span<UInt8>
  ) throws(DiffError) {
    var made: [Part] = []
    var next = 0
    while next < positions.count {
      let start = unsafe positions[next]
      guard start < 1 << 56,
        made.last.map({ start >= $0.after.view.end }) ?? true
      else { throw .disorder }
      var offsets: [UInt32] = []
      while next + offsets.count < positions.count, offsets.count < Self.partCount {
        let position = unsafe positions[next + offsets.count]
        guard position >= start + (offsets.last.map { UInt64($0) + 1 } ?? 0) else {
          throw .disorder
        }
        guard position - start < 1 << 31 else { break }
        offsets.append(UInt32(position - start))
      }
      let range = next * width..<(next + offsets.count) * width
      made.append(
        Part(
          tensor: tensorCount, width: width,
          before: ChangeRun(at: start, offsets, Self.copy(before, range)),
          after: ChangeRun(at: start, offsets, Self.copy(after, range))))
      next += offsets.count
    }
    parts += made
    tensorCount += 1
  }

  private static func copy(_ bytes: Span<UInt8>, _ range: Range<Int>) -> [UInt8] {
    var copy: [UInt8] = []
    copy.append(copying: bytes.extracting(range))
    return copy
  }

  /// Stores the elements after in the tensors if they have those before; `backwards`, the reverse.
  ///
  /// - Returns: The index of the first tensor with other elements, in which case no tensor is
  ///   changed; else nil.
  /// - Throws: `usage` if the number of tensors differs; `mismatch` if one is too short.
  func run(
    _ tensors: [UnsafeMutableRawBufferPointer], backwards: Bool, verifying: Bool
  ) throws(DiffError) -> Int? {
    let count = unsafe tensors.count
    guard count == tensorCount else {
      throw DiffError(.usage, "\(count) tensors, not \(tensorCount)")
    }
    for part in parts where unsafe part.bytes.upperBound > tensors[part.tensor].count {
      throw DiffError(
        .mismatch, "tensor \(part.tensor) ends before the last element that changes")
    }
    let shared = unsafe SharedTensors(tensors: tensors)
    let parts = parts
    var outcomes = [Outcome](repeating: .untouched, count: parts.count)
    try parallelForEach(&outcomes) { index, outcome throws(DiffError) in
      let part = parts[index]
      let isStored = unsafe Self.store(
        part, backwards ? part.before : part.after,
        over: verifying ? (backwards ? part.after : part.before) : nil, shared)
      outcome = isStored ? .stored : .refused
    }
    guard let refused = outcomes.firstIndex(of: .refused) else { return nil }
    for (part, outcome) in zip(parts, outcomes) where outcome == .stored {
      _ = unsafe Self.store(part, backwards ? part.after : part.before, over: nil, shared)
    }
    return parts[refused].tensor
  }

  /// Stores elements of a part; returns false and stores none if the tensor has others than
  /// `expected`.
  private static func store(
    _ part: Part, _ elements: ChangeRun<UInt8>, over expected: ChangeRun<UInt8>?,
    _ shared: SharedTensors
  ) -> Bool {
    let bytes = unsafe UnsafeMutableRawBufferPointer(
      rebasing: shared.tensors[part.tensor][part.bytes])
    let buffer = unsafe bytes.bindMemory(to: UInt8.self)
    var block = unsafe buffer.mutableSpan
    let start = elements.start
    guard let expected else {
      elements.view.scatter(.replace, into: &block, at: start)
      return true
    }
    let stored = Kernels.exchange(
      &block, width: part.width, at: elements.offsets.span, expected.values.span,
      for: elements.values.span)
    if stored < elements.count {
      expected.view.extracting(0..<stored).scatter(.replace, into: &block, at: start)
    }
    return stored == elements.count
  }
}

@unsafe private struct SharedTensors: @unchecked Sendable {
  let tensors: [UnsafeMutableRawBufferPointer]
}

extension DiffError {
  fileprivate static let disorder = DiffError(.usage, "positions do not ascend, or are too large")
}
