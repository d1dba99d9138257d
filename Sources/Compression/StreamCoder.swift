/// Expands a compressed stream that arrives in parts, in memory that does not depend on its length.
package protocol StreamExpander: AnyObject {
  /// Expands the beginning of `bytes` into `out`, starting at the index `start`.
  ///
  /// - Returns: the result of the step, or nil if the stream is damaged.
  func step(_ bytes: Span<UInt8>, into out: inout MutableSpan<UInt8>, at start: Int)
    -> ExpansionStep?
}

/// The result of a step of an expansion.
package struct ExpansionStep {
  /// The number of compressed bytes read and of expanded bytes written.
  package var taken, made: Int
  /// True if the stream may end here.
  package var isComplete: Bool
}

/// Compresses bytes that arrive in parts.
package protocol StreamCompressor: AnyObject {
  /// Compresses the next bytes; returns the compressed bytes that are ready, or all of them if
  /// `isLast`.
  func compress(_ bytes: Span<UInt8>, isLast: Bool) -> [UInt8]
}
