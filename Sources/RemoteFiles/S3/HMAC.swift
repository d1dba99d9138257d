import Kernels

extension SHA256 {
  /// Returns the hash of a message, 32 bytes.
  package static func hash(_ bytes: [UInt8]) -> [UInt8] {
    var hash = SHA256()
    hash.update(bytes.span)
    return hash.bytes
  }

  /// Returns the HMAC (RFC 2104) of a message with this hash.
  package static func authentication(_ message: String, key: [UInt8]) -> [UInt8] {
    let short = key.count > 64 ? hash(key) : key
    let block = short + [UInt8](repeating: 0, count: 64 - short.count)
    return hash(block.map { $0 ^ 0x5C } + hash(block.map { $0 ^ 0x36 } + Array(message.utf8)))
  }
}
