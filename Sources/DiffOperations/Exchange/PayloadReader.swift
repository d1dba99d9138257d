import Checkpoints
import Compression
import TensorCore

/// Reads what a payload of a delta expands to, from the beginning to the end, in memory that does not
/// depend on its length.
struct PayloadReader {
  private let payload: PublishedDelta.Payload
  private let expander: any StreamExpander
  private var input: [UInt8] = []
  /// What of `input` has been taken, and what of the payload has been read.
  private var taken = 0
  private var offset: UInt64 = 0
  private var isComplete = false

  init(_ payload: PublishedDelta.Payload, _ expander: any StreamExpander) {
    self.payload = payload
    self.expander = expander
  }

  /// Fills `out` with the next bytes.
  ///
  /// - Throws: `malformed` if there are fewer, or the compressed stream is damaged.
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

  /// The next `count` bytes.
  mutating func read(_ count: Int) throws(DiffError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var span = bytes.mutableSpan
    try read(into: &span)
    return bytes
  }

  /// Passes over bytes.
  mutating func skip(_ count: UInt64) throws(DiffError) {
    var rest = count
    var room = [UInt8](repeating: 0, count: Int(min(rest, 1 << 18)))
    while rest > 0 {
      if UInt64(room.count) > rest { room.removeLast(room.count - Int(rest)) }
      var span = room.mutableSpan
      try read(into: &span)
      rest -= UInt64(room.count)
    }
  }

  /// Requires that all has been read.
  mutating func finish() throws(DiffError) {
    var room: [UInt8] = [0]
    while true {
      var span = room.mutableSpan
      let step = try step(into: &span, at: 0)
      guard step.made == 0 else { throw damaged("expands to more bytes than the tensor has") }
      guard step.taken == 0 else { continue }
      guard isComplete, offset == payload.stored.byteCount, taken == input.count else {
        throw damaged("does not end where its compressed stream does")
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
      throw damaged("its compressed stream is damaged")
    }
    taken += step.taken
    if step.taken > 0 || step.made > 0 { isComplete = step.isComplete }
    return step
  }

  private func damaged(_ message: String) -> DiffError {
    DiffError(.malformed, message, path: payload.file.path, tensor: payload.name)
  }
}
