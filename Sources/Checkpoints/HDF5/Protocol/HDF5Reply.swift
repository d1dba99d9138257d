import TensorCore

/// A reply to a request: an error or a result.
package enum HDF5Reply {
  /// The result of a request.
  package enum Answer {
    case nothing
    case table(HDF5Table)
    case contents([OtherContent])
    case tensors([StoredTensor])
    case bytes([UInt8])
  }

  /// Returns the message of a result.
  package static func success(_ answer: Answer) -> [UInt8] {
    var out = MessageWriter()
    out.put(UInt64(0))
    switch answer {
    case .nothing: break
    case .table(let table): out.put(table)
    case .contents(let contents): out.put(contents)
    case .tensors(let tensors): for tensor in tensors { out.put(tensor) }
    case .bytes(let bytes): out.put(bytes)
    }
    return out.bytes
  }

  package static func failure(_ error: DiffError) -> [UInt8] {
    var out = MessageWriter()
    out.put(UInt64(1))
    out.put(error.code.description)
    out.put(error.message)
    out.put(error.tensor.map { [$0] } ?? [])
    out.put(error.offset.map { [$0] } ?? [])
    return out.bytes
  }

  /// Returns a reader of the result.
  ///
  /// - Throws: the error, if that is the reply.
  package static func reader(_ message: [UInt8]) throws(DiffError) -> MessageReader {
    var reader = MessageReader(message)
    if try reader.number() == 0 { return reader }
    let code = try reader.text()
    guard let known = codes.first(where: { $0.description == code }) else { throw .brokenMessage }
    let text = String(try reader.text().prefix(500))
    throw DiffError(
      known, text, tensor: try reader.names().first, offset: try reader.numbers().first)
  }

  /// The error codes that a session can return.
  private static let codes: [DiffError.Code] = [
    .io, .notFound, .denied, .noSpace, .notACheckpoint, .unsupportedCheckpoint, .malformed,
    .truncated, .limit, .mismatch, .unsupported, .usage,
  ]
}
