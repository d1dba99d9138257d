#if Network
import CCurl
import Platform
import TensorCore

/// A connection to servers by libcurl: one exchange at a time, by one thread at a time.
/// Certificates are always verified; redirections are not followed.
@safe final class Connection {
  private let handle: UnsafeMutableRawPointer
  private let options: RemoteOptions

  /// True if this build includes libcurl.
  static let isIncluded = true

  private static let isStarted: Bool = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK

  init(_ options: RemoteOptions) throws(DiffError) {
    guard Self.isStarted, let made = unsafe curl_easy_init() else {
      throw DiffError(.io, "libcurl cannot be initialized")
    }
    unsafe handle = made
    self.options = options
  }

  deinit { unsafe curl_easy_cleanup(handle) }

  /// Sends a request, and passes the body of the response to `receiver` as it arrives.
  ///
  /// - Throws: a failure, with whether another attempt may succeed; the errors of the receiver.
  func exchange(
    _ request: HTTPRequest, _ receiver: any BodyReceiver
  ) throws(ExchangeFailure) -> HTTPResponse {
    unsafe curl_easy_reset(handle)
    let reception = Reception(receiver, request.body ?? [])
    var lines: UnsafeMutablePointer<curl_slist>?
    defer { unsafe curl_slist_free_all(lines) }
    // Otherwise curl waits for a response «100 Continue», which few servers send.
    for (name, value) in request.headers + [("Expect", "")] {
      guard !name.utf8.contains(where: { $0 < 0x20 }), !value.utf8.contains(where: { $0 < 0x20 })
      else { throw .final(DiffError(.usage, "the header '\(name)' contains a control character")) }
      let line = value.isEmpty ? "\(name):" : "\(name): \(value)"
      guard let longer = unsafe curl_slist_append(lines, line) else {
        throw .final(DiffError(.io, "out of memory"))
      }
      unsafe lines = longer
    }
    unsafe set(request, lines.map { UnsafeMutableRawPointer($0) })
    let context = unsafe Unmanaged.passUnretained(reception).toOpaque()
    for option in [CURLOPT_WRITEDATA, CURLOPT_HEADERDATA, CURLOPT_READDATA] {
      unsafe dk_curl_set_pointer(handle, option, context)
    }
    unsafe dk_curl_set_callback(handle, CURLOPT_HEADERFUNCTION) { bytes, size, count, context in
      guard let context = unsafe context, let bytes = unsafe bytes else { return 0 }
      let reception = unsafe Unmanaged<Reception>.fromOpaque(context).takeUnretainedValue()
      let text = unsafe UnsafeRawBufferPointer(start: bytes, count: size * count)
      return unsafe reception.take(line: String(decoding: text, as: UTF8.self)) ? text.count : 0
    }
    unsafe dk_curl_set_callback(handle, CURLOPT_WRITEFUNCTION) { bytes, size, count, context in
      guard let context = unsafe context, let bytes = unsafe bytes else { return 0 }
      let reception = unsafe Unmanaged<Reception>.fromOpaque(context).takeUnretainedValue()
      let body = unsafe UnsafeRawBufferPointer(start: bytes, count: size * count)
      return unsafe reception.take(body.bindMemory(to: UInt8.self).span) ? body.count : 0
    }
    unsafe dk_curl_set_callback(handle, CURLOPT_READFUNCTION) { bytes, size, count, context in
      guard let context = unsafe context, let bytes = unsafe bytes else { return 0 }
      let reception = unsafe Unmanaged<Reception>.fromOpaque(context).takeUnretainedValue()
      let buffer = unsafe UnsafeMutableRawBufferPointer(start: bytes, count: size * count)
      return unsafe reception.send(into: buffer)
    }
    let code = unsafe curl_easy_perform(handle)
    withExtendedLifetime(reception) {}
    if let error = reception.error { throw .final(error) }
    guard code == CURLE_OK else { throw failure(code) }
    do throws(DiffError) { try reception.begin() } catch { throw .final(error) }
    var response = reception.response
    var target: UnsafeMutablePointer<CChar>?
    if unsafe dk_curl_get_text(handle, CURLINFO_REDIRECT_URL, &target) == CURLE_OK,
      let target = unsafe target
    {
      response.redirection = unsafe String(cString: target)
    }
    return response
  }

  private func set(_ request: HTTPRequest, _ headers: UnsafeMutableRawPointer?) {
    unsafe dk_curl_set_schemes(handle)
    unsafe dk_curl_set_text(handle, CURLOPT_URL, request.url)
    unsafe dk_curl_set_pointer(handle, CURLOPT_HTTPHEADER, headers)
    unsafe dk_curl_set_text(handle, CURLOPT_USERAGENT, "diffkit")
    // Keys of S3 may contain '.' and '..' as parts.
    unsafe dk_curl_set_long(handle, CURLOPT_PATH_AS_IS, 1)
    unsafe dk_curl_set_long(handle, CURLOPT_NOSIGNAL, 1)
    unsafe dk_curl_set_long(handle, CURLOPT_FOLLOWLOCATION, 0)
    unsafe dk_curl_set_long(handle, CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2))
    unsafe dk_curl_set_long(handle, CURLOPT_SSL_VERIFYPEER, 1)
    unsafe dk_curl_set_long(handle, CURLOPT_SSL_VERIFYHOST, 2)
    unsafe dk_curl_set_long(handle, CURLOPT_CONNECTTIMEOUT, options.timeout)
    unsafe dk_curl_set_long(handle, CURLOPT_LOW_SPEED_TIME, options.timeout)
    unsafe dk_curl_set_long(handle, CURLOPT_LOW_SPEED_LIMIT, 1024)
    if let certificates = options.environment["SSL_CERT_FILE"] {
      unsafe dk_curl_set_text(handle, CURLOPT_CAINFO, certificates)
    }
    switch request.method {
    case .get: unsafe dk_curl_set_long(handle, CURLOPT_HTTPGET, 1)
    case .head: unsafe dk_curl_set_long(handle, CURLOPT_NOBODY, 1)
    case .put: unsafe dk_curl_set_long(handle, CURLOPT_UPLOAD, 1)
    case .post: unsafe dk_curl_set_long(handle, CURLOPT_POST, 1)
    case .delete: unsafe dk_curl_set_text(handle, CURLOPT_CUSTOMREQUEST, "DELETE")
    }
    if let body = request.body {
      let size = curl_off_t(body.count)
      unsafe dk_curl_set_size(
        handle, request.method == .post ? CURLOPT_POSTFIELDSIZE_LARGE : CURLOPT_INFILESIZE_LARGE,
        size)
    }
  }

  private func failure(_ code: CURLcode) -> ExchangeFailure {
    let reason = unsafe String(cString: curl_easy_strerror(code))
    switch code {
    case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CACERT_BADFILE, CURLE_SSL_CERTPROBLEM:
      return .final(
        DiffError(.io, "the server's certificate is not trusted: \(reason)"))
    case CURLE_URL_MALFORMAT, CURLE_UNSUPPORTED_PROTOCOL:
      return .final(DiffError(.usage, "is not an address that can be fetched: \(reason)"))
    case CURLE_OPERATION_TIMEDOUT:
      return .passing(
        DiffError(.io, "the server has sent almost nothing for \(options.timeout) s"))
    case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY:
      return .passing(DiffError(.io, "the server's name cannot be resolved: \(reason)"))
    default: return .passing(DiffError(.io, "the connection failed: \(reason)"))
    }
  }
}

/// A response that is arriving.
private final class Reception {
  private let receiver: any BodyReceiver
  private let body: [UInt8]
  private var sent = 0
  private(set) var response = HTTPResponse()
  private(set) var error: DiffError?
  private var headerBytes = 0
  private var hasBegun = false

  /// The maximum size of a header in bytes.
  private static let headerLimit = 1 << 18

  init(_ receiver: any BodyReceiver, _ body: [UInt8]) {
    self.receiver = receiver
    self.body = body
  }

  func take(line: String) -> Bool {
    headerBytes += line.utf8.count
    guard headerBytes <= Self.headerLimit else {
      error = DiffError(.limit, "the server's response has an endless header")
      return false
    }
    response.take(line: line[...])
    return true
  }

  /// Passes status and headers to the receiver, once.
  func begin() throws(DiffError) {
    guard !hasBegun else { return }
    hasBegun = true
    try receiver.begin(response)
  }

  func take(_ bytes: Span<UInt8>) -> Bool {
    do throws(DiffError) {
      try begin()
      try receiver.receive(bytes)
      return true
    } catch {
      self.error = error
      return false
    }
  }

  func send(into buffer: UnsafeMutableRawBufferPointer) -> Int {
    let count = min(buffer.count, body.count - sent)
    unsafe body.withUnsafeBytes {
      unsafe buffer.copyMemory(from: .init(rebasing: $0[sent..<sent + count]))
    }
    sent += count
    return count
  }
}
#endif
