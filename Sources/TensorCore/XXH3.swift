import CXXHash

/// XXH3, the hash of checksums and fingerprints (Yann Collet, https://xxhash.com), by libxxhash.
package enum XXH3 {
  /// The 64-bit hash, seed 0.
  package static func hash64(_ bytes: Span<UInt8>) -> UInt64 {
    unsafe bytes.withUnsafeBufferPointer { unsafe XXH3_64bits($0.baseAddress, $0.count) }
  }

  /// The 128-bit hash, seed 0.
  package static func hash128(_ bytes: Span<UInt8>) -> Fingerprint {
    let hash = unsafe bytes.withUnsafeBufferPointer {
      unsafe XXH3_128bits($0.baseAddress, $0.count)
    }
    return Fingerprint(high: hash.high64, low: hash.low64)
  }
}

/// XXH3-128 over bytes that arrive in pieces.
@safe package struct XXH3Stream: ~Copyable {
  private let state: OpaquePointer

  package init() {
    // The state is half a kilobyte; an allocation that fails here is not worth a path of its own.
    guard let state = unsafe XXH3_createState() else { fatalError("out of memory") }
    unsafe self.state = state
    _ = unsafe XXH3_128bits_reset(state)
  }

  deinit { _ = unsafe XXH3_freeState(state) }

  package mutating func update(_ bytes: Span<UInt8>) {
    _ = unsafe bytes.withUnsafeBufferPointer {
      unsafe XXH3_128bits_update(state, $0.baseAddress, $0.count)
    }
  }

  package var digest: Fingerprint {
    let hash = unsafe XXH3_128bits_digest(state)
    return Fingerprint(high: hash.high64, low: hash.low64)
  }
}
