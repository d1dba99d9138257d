import Checkpoints
import Compression
import TensorCore

/// Reads the expanded bytes of a delta's payload in order, in memory independent of its length.
struct PayloadReader {
  private let payload: PublishedDelta.Payload
  private let expander: any StreamExpander
  private var input: [UInt8] = []
  /// The number of bytes of `input` that were consumed, and of the payload that were read.
  private var taken = 0
  private var offset: UInt64 = 0
  private var isComplete = false

  init(_ payload: PublishedDelta.Payload, _ expander: any StreamExpander) {
    self.payload = payload
    self.expander = expander
  }

  /// Fills `out` with the next bytes.
  ///
  /// - Throws: `malformed` if there are not enough, or the compressed stream is damaged.
  mutating func read(into out: inout MutableSpan<UInt8>) throws(DiffError) {
    var made = 0
    while made < out.count {
      let step = try step(into: &out, at: made)
      guard step.made > 0 || step.taken > 0 else {
        throw damaged("expands to fewer bytes than the tensor has")
      }
      made += step.made
    }
  }

  /// Returns the next `count` bytes.
  mutating func read(_ count: Int) throws(DiffError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var span = bytes.mutableSpan
    try read(into: &span)
    return bytes
  }

  /// Skips bytes.
  mutating func skip(_ count: UInt64) throws(DiffError) {
    var rest = count
    var buffer = [UInt8](repeating: 0, count: Int(min(rest, 1 << 18)))
    while rest > 0 {
      if UInt64(buffer.count) > rest { buffer.removeLast(buffer.count - Int(rest)) }
      var span = buffer.mutableSpan
      try read(into: &span)
      rest -= UInt64(buffer.count)
    }
  }

  /// Requires that all bytes have been read.
  mutating func finish() throws(DiffError) {
    var buffer: [UInt8] = [0]
    while true {
      var span = buffer.mutableSpan
      let step = try step(into: &span, at: 0)
      guard step.made == 0 else { throw damaged("expands to more bytes than the tensor has") }
      guard step.taken == 0 else { continue }
      guard isComplete, offset == payload.stored.byteCount, taken == input.count else {
        throw damaged("does not end at the end of its compressed stream")
      }
      return
    }
  }

  private mutating func step(
    into out: inout MutableSpan<UInt8>, at start: Int
  ) throws(DiffError) -> ExpansionStep {
    if taken == input.count {
      let end = min(payload.stored.byteCount, offset + 1 << 17)
      input = []
      if offset < end { try payload.file.read(payload.stored, offset..<end, into: &input) }
      (taken, offset) = (0, end)
    }
    guard let step = expander.step(input.span.extracting(taken...), into: &out, at: start) else {
      throw damaged("has a damaged compressed stream")
    }
    taken += step.taken
    if step.taken > 0 || step.made > 0 { isComplete = step.isComplete }
    return step
  }

  private func damaged(_ message: String) -> DiffError {
    DiffError(.malformed, message, path: payload.file.path, tensor: payload.name)
  }
}
