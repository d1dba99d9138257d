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
    out.put(error)
    return out.bytes
  }

  /// Returns a reader of the result.
  ///
  /// - Throws: the error, if that is the reply.
  package static func reader(_ message: [UInt8]) throws(DiffError) -> MessageReader {
    var reader = MessageReader(message)
    if try reader.number() == 0 { return reader }
    throw try reader.error()
  }

  /// The error codes that a session can return.
  fileprivate static let codes: [DiffError.Code] = [
    .io, .notFound, .denied, .noSpace, .notACheckpoint, .unsupportedCheckpoint, .malformed,
    .truncated, .limit, .mismatch, .unsupported, .usage,
  ]
}

extension MessageWriter {
  package mutating func put(_ error: DiffError) {
    put(error.code.description)
    put(error.message)
    put(error.tensor.map { [$0] } ?? [])
    put(error.offset.map { [$0] } ?? [])
  }
}

extension MessageReader {
  package mutating func error() throws(DiffError) -> DiffError {
    let code = try text()
    guard let known = HDF5Reply.codes.first(where: { $0.description == code }) else {
      throw .brokenMessage
    }
    let message = String(try text().prefix(500))
    return DiffError(known, message, tensor: try names().first, offset: try numbers().first)
  }
}
