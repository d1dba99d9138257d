import CKernels

extension Kernels {
  /// Reads values of `bits` (0...32) bits from `source` until `values` is full.
  package static func unpack(
    _ source: Span<UInt8>, bits: Int, into values: inout MutableSpan<UInt32>
  ) {
    precondition(source.count >= (values.count * bits + 7) / 8 && (0...32).contains(bits))
    unsafe memory(source, &values) { from, to in
      unsafe dk_unpack_bits(from.baseAddress, from.count, UInt32(bits), to.count, to.baseAddress)
    }
  }

  /// Appends the low `bits` bits of each value; pads the last byte with zeros.
  package static func pack(_ values: Span<UInt32>, bits: Int, appendingTo bytes: inout [UInt8]) {
    let start = bytes.count
    bytes.append(contentsOf: repeatElement(0, count: (values.count * bits + 7) / 8))
    var buffer = bytes.mutableSpan._consumingExtracting(start...)
    unsafe memory(values, &buffer) { from, to in
      unsafe dk_pack_bits(from.baseAddress, UInt32(bits), from.count, to.baseAddress)
    }
  }

  /// Stores the index of each one bit of `bitmap`, or only of some if `ones` is too small; returns
  /// the number of one bits. Up to 64 numbers after them are overwritten, too.
  package static func selectOnes(
    _ bitmap: Span<UInt8>, into ones: inout MutableSpan<UInt32>
  ) -> Int {
    unsafe memory(bitmap, &ones) { from, to in
      unsafe dk_select_ones(from.baseAddress, from.count, to.baseAddress, to.count)
    }
  }

  /// Returns a bitmap of `count` bits in which the bits at ascending `positions` are set.
  package static func bitmap(_ positions: Span<UInt32>, count: Int) -> [UInt8] {
    var bitmap = [UInt8](repeating: 0, count: (count + 7) / 8)
    precondition(positions.isEmpty || Int(positions[positions.count - 1]) < count)
    unsafe memory(positions) { unsafe dk_set_bits($0.baseAddress, $0.count, &bitmap) }
    return bitmap
  }

  /// Returns the gaps between ascending values: the number of values between each and the previous.
  package static func gaps(_ values: Span<UInt32>) -> [UInt32] {
    unsafe [UInt32](unsafeUninitializedCapacity: values.count) { to, count in
      count = values.count
      unsafe memory(values) { unsafe dk_gaps($0.baseAddress, $0.count, to.baseAddress) }
    }
  }

  /// Reads gaps of `bits` bits until `values` is full and converts them to values, the first of
  /// which is at least `next`. Returns the smallest possible next value, not wrapped (valid only up
  /// to 2^32), and the number of bits of the widest gap.
  package static func unpackGaps(
    _ source: Span<UInt8>, bits: Int, next: UInt64, into values: inout MutableSpan<UInt32>
  ) -> (next: UInt64, widest: Int) {
    precondition(source.count >= (values.count * bits + 7) / 8 && (0...32).contains(bits))
    var widest: UInt32 = 0
    let after = unsafe memory(source, &values) { from, to in
      unsafe dk_packed_gaps(
        from.baseAddress, from.count, UInt32(bits), to.count, next, to.baseAddress, &widest)
    }
    return (after, Int(widest))
  }

  /// Returns the number of bits of the widest value.
  package static func width(_ values: Span<UInt32>) -> Int {
    unsafe memory(values) { unsafe 32 - dk_or($0.baseAddress, $0.count).leadingZeroBitCount }
  }

  /// Appends `values[i] + shift`, modulo 2^32; returns false and appends nothing if the values do
  /// not ascend strictly.
  package static func rebase(
    _ values: Span<UInt32>, by shift: UInt32, appendingTo list: inout [UInt32]
  ) -> Bool {
    let start = list.count
    list.append(contentsOf: repeatElement(0, count: values.count))
    var buffer = list.mutableSpan._consumingExtracting(start...)
    let ascends = unsafe memory(values, &buffer) { from, to in
      unsafe dk_rebase(from.baseAddress, from.count, shift, to.baseAddress) != 0
    }
    if !ascends { list.removeLast(values.count) }
    return ascends
  }

  /// Returns the number of the ascending `values[i] + shift` in each row and each column of a grid.
  package static func countLines(
    _ values: Span<UInt32>, shift: UInt32, rows: Int, columns: Int
  ) -> (rows: [UInt32], columns: [UInt32]) {
    var rowCounts = [UInt32](repeating: 0, count: rows)
    var columnCounts = [UInt32](repeating: 0, count: columns)
    guard values.count > 0 else { return (rowCounts, columnCounts) }
    precondition(Int(values[values.count - 1]) + Int(shift) < rows * columns)
    unsafe memory(values) {
      unsafe dk_count_lines(
        $0.baseAddress, $0.count, shift, UInt32(columns), &rowCounts, &columnCounts)
    }
    return (rowCounts, columnCounts)
  }

  /// Returns, for k in 0..<32, the number of bits of `gaps` in a Rice code with parameter k.
  package static func riceCosts(_ gaps: Span<UInt32>) -> [UInt64] {
    unsafe [UInt64](unsafeUninitializedCapacity: 32) { costs, count in
      count = 32
      unsafe memory(gaps) { unsafe dk_rice_costs($0.baseAddress, $0.count, costs.baseAddress) }
    }
  }

  /// Stores the index of each gap's one in a unary bitmap whose next free bit is `next`; returns
  /// the next free bit after them.
  package static func riceUnary(
    _ gaps: Span<UInt32>, k: Int, next: UInt64, into ones: inout MutableSpan<UInt32>
  ) -> UInt64 {
    precondition(ones.count >= gaps.count)
    return unsafe memory(gaps, &ones) { from, to in
      unsafe dk_rice_unary(from.baseAddress, from.count, UInt32(k), next, to.baseAddress)
    }
  }

  /// Decodes a block of a Rice code: `values` holds the low bits and becomes the values.
  /// Returns the smallest possible next value, not wrapped.
  package static func riceBlock(
    ones: Span<UInt32>, firstBit: UInt32, k: Int, next: UInt64,
    values: inout MutableSpan<UInt32>
  ) -> UInt64 {
    precondition(ones.count == values.count)
    return unsafe memory(ones, &values) { from, to in
      unsafe dk_rice_block(
        from.baseAddress, firstBit, UInt32(k), from.count, next, to.baseAddress)
    }
  }

  /// Sorts ascending, by radix: O(n).
  package static func sort(_ keys: inout MutableSpan<UInt32>, scratch: inout MutableSpan<UInt32>) {
    precondition(scratch.count >= keys.count)
    unsafe memory(&keys) { keys in
      unsafe memory(&scratch) { unsafe dk_sort(keys.baseAddress, $0.baseAddress, keys.count) }
    }
  }
}
