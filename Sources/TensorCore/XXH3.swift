import CXXHash

/// XXH3, the hash of checksums and fingerprints (Yann Collet, https://xxhash.com), calculated by
/// libxxhash.
package enum XXH3 {
  /// Returns the 64-bit hash with seed 0.
  package static func hash64(_ bytes: Span<UInt8>) -> UInt64 {
    unsafe bytes.withUnsafeBufferPointer { unsafe XXH3_64bits($0.baseAddress, $0.count) }
  }

  /// Returns the 128-bit hash with seed 0.
  package static func hash128(_ bytes: Span<UInt8>) -> Fingerprint {
    let hash = unsafe bytes.withUnsafeBufferPointer {
      unsafe XXH3_128bits($0.baseAddress, $0.count)
    }
    return Fingerprint(high: hash.high64, low: hash.low64)
  }
}

/// The XXH3-128 hash of bytes that arrive in parts.
@safe package struct XXH3Stream: ~Copyable {
  private let state: OpaquePointer

  package init() {
    // The state is half a kilobyte; handling a failed allocation separately is not worth it.
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
