/// Codes of gaps with any parameters, including invalid ones, written bit by bit from the
/// specification, independently of the encoders of DiffFormat.
package enum Handmade {
  /// Returns SPLIT_RICE of gaps whose block `j` has the parameter `least + steps[j]`.
  package static func rice(
    _ gaps: [UInt64], least: Int, bits: Int = 0, steps: [Int] = []
  ) -> [UInt8] {
    var head = BitWriter()
    head.append(UInt64(least), bits: 8)
    head.append(UInt64(bits), bits: 8)
    for step in steps { head.append(UInt64(step), bits: bits) }
    head.align()
    var quotients = BitWriter()
    for (index, gap) in gaps.enumerated() {
      let k = least + (steps.isEmpty ? 0 : steps[index / 128])
      if index % 128 == 0 { head.align() }
      head.append(gap, bits: k)
      for _ in 0..<gap >> UInt64(k) { quotients.append(0, bits: 1) }
      quotients.append(1, bits: 1)
    }
    return head.bytes + quotients.bytes
  }

  /// Returns BP128 of gaps with these widths.
  package static func packed(_ gaps: [UInt64], widths: [Int]) -> [UInt8] {
    var writer = BitWriter()
    for width in widths { writer.append(UInt64(width), bits: 8) }
    for (index, gap) in gaps.enumerated() {
      if index % 128 == 0 { writer.align() }
      writer.append(gap, bits: widths[index / 128])
    }
    return writer.bytes
  }

  /// Returns a page: code, positions with their size, planes.
  package static func page(_ code: UInt8, _ positions: [UInt8], _ planes: [UInt8]) -> [UInt8] {
    [code] + varint(UInt64(positions.count)) + positions + planes
  }

  /// Returns the gaps of ascending numbers.
  package static func gaps(_ numbers: [UInt64]) -> [UInt64] {
    numbers.indices.map { $0 == 0 ? numbers[0] : numbers[$0] - numbers[$0 - 1] - 1 }
  }
}
