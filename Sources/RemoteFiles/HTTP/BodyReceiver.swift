import TensorCore

/// Takes the body of an answer, piece by piece.
package protocol BodyReceiver: AnyObject {
  /// Learns what answer it is, before the first piece.
  func begin(_ response: HTTPResponse) throws(DiffError)
  /// Takes the next bytes.
  func receive(_ bytes: Span<UInt8>) throws(DiffError)
}

/// Why there was no answer.
enum ExchangeFailure: Error {
  /// Another attempt may succeed.
  case passing(DiffError)
  case final(DiffError)
}

/// A short body, held in memory.
package final class TextReceiver: BodyReceiver {
  private(set) var bytes: [UInt8] = []
  private let limit: Int

  package init(limit: Int = 1 << 20) { self.limit = limit }

  /// A new answer: what an attempt before left does not count.
  package func begin(_ response: HTTPResponse) { bytes = [] }

  package func receive(_ bytes: Span<UInt8>) throws(DiffError) {
    guard bytes.count <= limit - self.bytes.count else {
      throw DiffError(.limit, "the server's answer has more than \(limit) bytes")
    }
    self.bytes.append(copying: bytes)
  }

  package var text: String { String(decoding: bytes, as: UTF8.self) }
}
