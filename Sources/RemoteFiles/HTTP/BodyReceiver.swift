import TensorCore

/// A receiver of the body of a response, in the parts in which it arrives.
package protocol BodyReceiver: AnyObject {
  /// Takes the status and headers of the response, before the first bytes.
  func begin(_ response: HTTPResponse) throws(DiffError)
  /// Takes the next bytes.
  func receive(_ bytes: Span<UInt8>) throws(DiffError)
}

/// The error of a request without a response.
enum ExchangeFailure: Error {
  /// An error after which another attempt may succeed.
  case passing(DiffError)
  /// An error that another attempt would meet again.
  case final(DiffError)
}

/// A receiver that holds a short body in memory.
package final class TextReceiver: BodyReceiver {
  private(set) var bytes: [UInt8] = []
  private let limit: Int

  package init(limit: Int = 1 << 20) { self.limit = limit }

  /// Discards the body of an earlier attempt.
  package func begin(_ response: HTTPResponse) { bytes = [] }

  package func receive(_ bytes: Span<UInt8>) throws(DiffError) {
    guard bytes.count <= limit - self.bytes.count else {
      throw DiffError(.limit, "the server's response has more than \(limit) bytes")
    }
    self.bytes.append(copying: bytes)
  }

  package var text: String { String(decoding: bytes, as: UTF8.self) }
}
