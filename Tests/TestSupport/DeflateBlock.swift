/// A block of deflate (RFC 1951) with custom codes of any lengths, including invalid ones, written
/// bit by bit from that document.
package struct DeflateBlock {
  /// A symbol of the code of lengths, with the value of its extra bits: 0 to 15 is a length, 16 to
  /// 18 repeat one.
  package struct Step {
    let symbol: Int
    let extra: UInt64

    package static func length(_ length: Int) -> Step { Step(symbol: length, extra: 0) }
    /// Repeats the length before 3 to 6 times.
    package static func again(_ count: Int) -> Step { Step(symbol: 16, extra: UInt64(count - 3)) }
    /// Repeats length 0, of symbols that do not occur, 11 to 138 times.
    package static func zeros(_ count: Int) -> Step { Step(symbol: 18, extra: UInt64(count - 11)) }

    fileprivate var extraBits: Int { [16: 2, 18: 7][symbol] ?? 0 }
  }

  private var writer = BitWriter()
  private let literals, distances: [Int]

  /// A complete code of the 19 symbols: 13 of four bits and 6 of five.
  package static let completeSteps =
    [Int](repeating: 4, count: 13) + [Int](repeating: 5, count: 6)

  /// Returns the lengths of `count` codes; those not listed are zero.
  package static func lengths(_ listed: [Int: Int], of count: Int) -> [Int] {
    (0..<count).map { listed[$0] ?? 0 }
  }

  /// Writes the header of a block: its type and the lengths of its codes.
  ///
  /// - Parameters:
  ///   - steps: The symbols that encode the lengths; by default one per length.
  ///   - stepLengths: The lengths of the code of these symbols, by symbol.
  package init(
    literals: [Int], distances: [Int], isFinal: Bool = true, steps: [Step]? = nil,
    stepLengths: [Int] = completeSteps
  ) {
    (self.literals, self.distances) = (literals, distances)
    writer.append(isFinal ? 1 : 0, bits: 1)
    writer.append(2, bits: 2)
    writer.append(UInt64(literals.count - 257), bits: 5)
    writer.append(UInt64(distances.count - 1), bits: 5)
    writer.append(15, bits: 4)
    for symbol in [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15] {
      writer.append(UInt64(stepLengths[symbol]), bits: 3)
    }
    for step in steps ?? (literals + distances).map(Step.length) {
      append(step.symbol, of: stepLengths)
      writer.append(step.extra, bits: step.extraBits)
    }
  }

  /// The bytes of the block so far.
  package var bytes: [UInt8] { writer.bytes }

  /// Appends symbols of the code of literals and lengths.
  package mutating func append(_ symbols: Int...) {
    for symbol in symbols { append(symbol, of: literals) }
  }

  /// Appends a length of at most 10, as a symbol, and a distance of at most 4.
  package mutating func appendMatch(length: Int, distance: Int) {
    append(length + 254, of: literals)
    append(distance - 1, of: distances)
  }

  /// Appends bits as they are.
  package mutating func append(bits: UInt64, count: Int) { writer.append(bits, bits: count) }

  /// Appends a symbol in the canonical code of these lengths, its first bit first.
  private mutating func append(_ symbol: Int, of lengths: [Int]) {
    let length = lengths[symbol]
    precondition(length > 0, "a symbol without a code")
    var code = 0
    for shorter in 1...length {
      code <<= 1
      if shorter < length { code += lengths.count { $0 == shorter } }
    }
    code += lengths[..<symbol].count { $0 == length }
    for bit in (0..<length).reversed() { writer.append(UInt64(code >> bit & 1), bits: 1) }
  }
}
