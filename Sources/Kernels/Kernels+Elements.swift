import CKernels

extension Kernels {
  /// Moves byte p of every value to plane p: `planes` becomes `width` planes of equal length.
  package static func splitPlanes(
    _ values: Span<UInt8>, width: Int, into planes: inout MutableSpan<UInt8>
  ) {
    precondition(planes.count == values.count && values.count % width == 0)
    unsafe memory(values, &planes) { from, to in
      unsafe dk_split_planes(from.baseAddress, from.count / width, UInt32(width), to.baseAddress)
    }
  }

  /// Joins planes to values, the inverse of `splitPlanes`.
  package static func joinPlanes(
    _ planes: Span<UInt8>, width: Int, into values: inout MutableSpan<UInt8>
  ) {
    precondition(planes.count == values.count && values.count % width == 0)
    unsafe memory(planes, &values) { from, to in
      unsafe dk_join_planes(from.baseAddress, from.count / width, UInt32(width), to.baseAddress)
    }
  }

  /// Returns the number of occurrences of each byte.
  package static func histogram(_ bytes: Span<UInt8>) -> [UInt32] {
    unsafe [UInt32](unsafeUninitializedCapacity: 256) { counts, count in
      count = 256
      unsafe memory(bytes) { unsafe dk_histogram($0.baseAddress, $0.count, counts.baseAddress) }
    }
  }

  /// Appends the code of each byte and then the last of the 257 codes, bit by bit, the lowest
  /// first. A code has its bits in the lower half and their number, at most 14, in the upper half.
  ///
  /// - Parameters:
  ///   - pending: the preceding bits, `held` of them, at most 7.
  ///   - size: the number of bytes that are appended.
  package static func appendCodes(
    of source: Span<UInt8>, _ codes: [UInt32], pending: UInt64, held: Int, size: Int,
    to bytes: inout [UInt8]
  ) {
    precondition(codes.count == 257 && codes.allSatisfy { $0 >> 16 <= 14 } && held < 8)
    let start = bytes.count
    bytes.append(contentsOf: repeatElement(0, count: size + 8))
    var buffer = bytes.mutableSpan._consumingExtracting(start...)
    let written = unsafe memory(source, &buffer) { from, to in
      unsafe dk_write_codes(
        from.baseAddress, from.count, codes, pending, UInt32(held), to.baseAddress)
    }
    precondition(written == size, "codes are not of their stated size")
    bytes.removeLast(8)
  }

  /// Returns the indices of the elements that differ.
  package static func differences(
    _ a: Span<UInt8>, _ b: Span<UInt8>, width: Int
  ) -> [UInt32] {
    precondition(a.count == b.count)
    return unsafe [UInt32](unsafeUninitializedCapacity: a.count / width) { to, count in
      count = unsafe memory(a, b) { a, b in
        unsafe dk_differences(
          a.baseAddress, b.baseAddress, a.count / width, UInt32(width), to.baseAddress)
      }
    }
  }

  /// Copies the elements at `offsets` of `block`, each plus `shift` modulo 2^32, into `values`.
  /// They must ascend.
  package static func gather(
    _ block: Span<UInt8>, width: Int, at offsets: Span<UInt32>, shift: UInt32 = 0,
    into values: inout MutableSpan<UInt8>
  ) {
    check(offsets, shift, block.count / width)
    precondition(values.count >= offsets.count * width)
    unsafe memory(block, offsets, &values) { block, at, to in
      unsafe dk_gather(
        block.baseAddress, UInt32(width), at.baseAddress, at.count, shift, to.baseAddress)
    }
  }

  /// Returns the elements that `gather` copies.
  package static func gathered(
    _ block: Span<UInt8>, width: Int, at offsets: Span<UInt32>, shift: UInt32 = 0
  ) -> [UInt8] {
    unsafe [UInt8](unsafeUninitializedCapacity: offsets.count * width) { to, count in
      count = offsets.count * width
      var values = unsafe to.mutableSpan
      gather(block, width: width, at: offsets, shift: shift, into: &values)
    }
  }

  /// The way in which new elements change the old ones.
  package enum Scatter: Sendable { case replace, xor }

  /// Stores or XORs `values` at the `offsets` of `block`, each plus `shift` modulo 2^32. They must
  /// ascend.
  package static func scatter(
    _ mode: Scatter, _ block: inout MutableSpan<UInt8>, width: Int, at offsets: Span<UInt32>,
    shift: UInt32 = 0, _ values: Span<UInt8>
  ) {
    check(offsets, shift, block.count / width)
    precondition(values.count >= offsets.count * width)
    let scatter = unsafe mode == .xor ? dk_scatter_xor : dk_scatter
    unsafe memory(offsets, values, &block) { at, values, block in
      unsafe scatter(
        block.baseAddress, UInt32(width), at.baseAddress, at.count, shift, values.baseAddress)
    }
  }

  /// Stores `values` at the `offsets` of `block`, which must ascend, where the elements of `expected`
  /// are.
  ///
  /// - Returns: how many were stored: all, or those before others were found than expected.
  package static func exchange(
    _ block: inout MutableSpan<UInt8>, width: Int, at offsets: Span<UInt32>,
    _ expected: Span<UInt8>, for values: Span<UInt8>
  ) -> Int {
    check(offsets, 0, block.count / width)
    precondition(min(values.count, expected.count) >= offsets.count * width)
    return unsafe memory(offsets, expected) { at, expected in
      unsafe memory(values, &block) { values, block in
        unsafe dk_exchange(
          block.baseAddress, UInt32(width), at.baseAddress, at.count, 0, expected.baseAddress,
          values.baseAddress)
      }
    }
  }

  /// Returns whether all bytes are zero; stops at the first that is not.
  package static func isZero(_ bytes: Span<UInt8>) -> Bool {
    unsafe memory(bytes) { unsafe dk_is_zero($0.baseAddress, $0.count) != 0 }
  }

  /// Sets every element to the low `width` bytes of `element`, little-endian.
  package static func fill(_ bytes: inout MutableSpan<UInt8>, _ element: UInt64, width: Int) {
    let start = min(bytes.count, width)
    for index in 0..<start {
      bytes[index] = UInt8(truncatingIfNeeded: element >> UInt64(8 * index))
    }
    unsafe bytes.withUnsafeMutableBufferPointer {
      guard let base = $0.baseAddress else { return }
      var done = start
      while done < $0.count {
        let count = min(done, $0.count - done)
        unsafe (base + done).update(from: base, count: count)
        done += count
      }
    }
  }

  /// `bytes ^= other`.
  package static func xor(_ bytes: inout MutableSpan<UInt8>, with other: Span<UInt8>) {
    precondition(bytes.count == other.count)
    unsafe memory(other, &bytes) { other, bytes in
      unsafe dk_xor(bytes.baseAddress, other.baseAddress, other.count)
    }
  }

  /// Reverses the bytes of every element: big-endian to little-endian and back.
  package static func swapBytes(_ bytes: inout MutableSpan<UInt8>, width: Int) {
    unsafe memory(&bytes) {
      unsafe dk_swap_bytes($0.baseAddress, $0.count / width, UInt32(width))
    }
  }

  /// Traps if offsets are not inside a block: ascending offsets are if the last one is, and none
  /// wraps.
  static func check(_ offsets: Span<UInt32>, _ shift: UInt32, _ count: Int) {
    guard !offsets.isEmpty else { return }
    let last = offsets[offsets.count - 1] &+ shift
    precondition(offsets[0] &+ shift <= last && Int(last) < count)
  }
}
