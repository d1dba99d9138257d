/// A request to a server.
package struct HTTPRequest: Sendable {
  package enum Method: String, Sendable {
    case get = "GET"
    case head = "HEAD"
    case put = "PUT"
    case delete = "DELETE"
    case post = "POST"
  }

  package var method: Method
  package var url: String
  /// Names and values, in the order in which they are sent.
  package var headers: [(name: String, value: String)]
  /// The body, sent after the headers; nil for none.
  package var body: [UInt8]?

  package init(
    method: Method = .get, url: String, headers: [(name: String, value: String)] = [],
    body: [UInt8]? = nil
  ) {
    self.method = method
    self.url = url
    self.headers = headers
    self.body = body
  }
}
