/// Expands a compressed stream that arrives in pieces, in memory that does not depend on its length.
package protocol StreamExpander: AnyObject {
  /// Expands the beginning of `bytes` into `out`, from the index `start` on.
  ///
  /// - Returns: what was taken and made, or nil if the stream is damaged.
  func step(_ bytes: Span<UInt8>, into out: inout MutableSpan<UInt8>, at start: Int)
    -> ExpansionStep?
}

/// What a step of an expansion did.
package struct ExpansionStep {
  /// Bytes of the compressed stream taken, and expanded bytes made.
  package var taken, made: Int
  /// Whether the stream may end here.
  package var isComplete: Bool
}

/// Compresses bytes that arrive in pieces.
package protocol StreamCompressor: AnyObject {
  /// Takes the next bytes; returns what is ready of the compressed stream, after the last bytes all
  /// of it.
  func compress(_ bytes: Span<UInt8>, isLast: Bool) -> [UInt8]
}
