import DiffFormat
import Kernels
import SystemSupport
import TensorCore

/// A `diffkit_exchange`: elements that are brought into tensors of the caller and taken back.
final class Exchange: Handled {
  static let noun = "exchange"

  /// Changes of one tensor that follow each other: what one thread stores.
  private struct Piece: Sendable {
    let tensor, width: Int
    /// The elements of one side, and of the other.
    let before, after: ChangeRun<UInt8>

    /// The bytes of the tensor from the first change to the last, both included.
    var bytes: Range<Int> { Int(after.start) * width..<Int(after.view.end) * width }
  }

  private enum Outcome { case untouched, stored, refused }

  private var pieces: [Piece] = []
  private var tensorCount = 0

  private static let pieceCount = 1 << 13

  /// - Throws: `usage` if positions do not ascend.
  func add(
    width: Int, _ positions: UnsafeBufferPointer<UInt64>, _ before: Span<UInt8>,
    _ after: Span<UInt8>
  ) throws(DiffError) {
    var made: [Piece] = []
    var next = 0
    while next < positions.count {
      let start = unsafe positions[next]
      guard start < 1 << 56,
        made.last.map({ start >= $0.after.view.end }) ?? true
      else { throw .disorder }
      var offsets: [UInt32] = []
      while next + offsets.count < positions.count, offsets.count < Self.pieceCount {
        let position = unsafe positions[next + offsets.count]
        guard position >= start + (offsets.last.map { UInt64($0) + 1 } ?? 0) else {
          throw .disorder
        }
        guard position - start < 1 << 31 else { break }
        offsets.append(UInt32(position - start))
      }
      let range = next * width..<(next + offsets.count) * width
      made.append(
        Piece(
          tensor: tensorCount, width: width,
          before: ChangeRun(at: start, offsets, Self.copy(before, range)),
          after: ChangeRun(at: start, offsets, Self.copy(after, range))))
      next += offsets.count
    }
    pieces += made
    tensorCount += 1
  }

  private static func copy(_ bytes: Span<UInt8>, _ range: Range<Int>) -> [UInt8] {
    var copy: [UInt8] = []
    copy.append(copying: bytes.extracting(range))
    return copy
  }

  /// Brings the elements of one side into the tensors, if those of the other are there.
  ///
  /// - Returns: the first tensor in which they are not; all are as they were then.
  /// - Throws: `usage` if there are more or fewer tensors; `mismatch` if one is too short.
  func run(
    _ tensors: [UnsafeMutableRawBufferPointer], backwards: Bool, verifying: Bool
  ) throws(DiffError) -> Int? {
    let count = unsafe tensors.count
    guard count == tensorCount else {
      throw DiffError(.usage, "\(count) tensors, not \(tensorCount)")
    }
    for piece in pieces where unsafe piece.bytes.upperBound > tensors[piece.tensor].count {
      throw DiffError(
        .mismatch, "tensor \(piece.tensor) ends before the last element that changes")
    }
    let shared = unsafe SharedTensors(tensors: tensors)
    let pieces = pieces
    var outcomes = [Outcome](repeating: .untouched, count: pieces.count)
    try parallelForEach(&outcomes) { index, outcome throws(DiffError) in
      let piece = pieces[index]
      let isStored = unsafe Self.store(
        piece, backwards ? piece.before : piece.after,
        over: verifying ? (backwards ? piece.after : piece.before) : nil, shared)
      outcome = isStored ? .stored : .refused
    }
    guard let refused = outcomes.firstIndex(of: .refused) else { return nil }
    for (piece, outcome) in zip(pieces, outcomes) where outcome == .stored {
      _ = unsafe Self.store(piece, backwards ? piece.after : piece.before, over: nil, shared)
    }
    return pieces[refused].tensor
  }

  /// Stores elements of a piece, or none of them if others than `expected` are there.
  private static func store(
    _ piece: Piece, _ elements: ChangeRun<UInt8>, over expected: ChangeRun<UInt8>?,
    _ shared: SharedTensors
  ) -> Bool {
    let bytes = unsafe UnsafeMutableRawBufferPointer(
      rebasing: shared.tensors[piece.tensor][piece.bytes])
    let buffer = unsafe bytes.bindMemory(to: UInt8.self)
    var block = unsafe buffer.mutableSpan
    let start = elements.start
    guard let expected else {
      elements.view.scatter(.replace, into: &block, at: start)
      return true
    }
    let stored = Kernels.exchange(
      &block, width: piece.width, at: elements.offsets.span, expected.values.span,
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
