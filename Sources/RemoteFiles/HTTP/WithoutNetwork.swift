#if !Network
import TensorCore

/// A replacement for libcurl in builds without it, whose `init` throws.
final class Connection {
  static let isIncluded = false

  init(_ options: RemoteOptions) throws(DiffError) {
    throw DiffError(
      .unsupported, "this diffkit was built without its trait Network: fetch the file first")
  }

  func exchange(
    _ request: HTTPRequest, _ receiver: any BodyReceiver
  ) throws(ExchangeFailure) -> HTTPResponse { fatalError("there is no connection") }
}
#endif
