import DiffFormat
import TensorCore
import TestSupport

extension ValidVector {
  /// Section 5.5: streams at the limits of deflate.
  static func deflateStreams() throws -> [ValidVector] {
    func vector(_ name: String, _ block: DeflateBlock, _ rest: String = "") throws -> ValidVector {
      let bytes = block.bytes + hex(rest)
      return ValidVector(
        "deflate-\(name)",
        handmade: try Bed.gaps.file(
          hex("01 06 02 00 08 02 47 10 02") + varint(UInt64(bytes.count)) + bytes))
    }
    func lengths(_ listed: [Int: Int], of count: Int) -> [Int] {
      DeflateBlock.lengths(listed, of: count)
    }
    var oneDistance = DeflateBlock(
      literals: lengths([7: 1, 256: 2, 258: 2], of: 259), distances: [1])
    oneDistance.append(7)
    oneDistance.appendMatch(length: 4, distance: 1)
    oneDistance.append(256)
    var noDistance = DeflateBlock(literals: lengths([7: 1, 256: 1], of: 257), distances: [0])
    noDistance.append(7, 7, 7, 7, 7, 256)
    var endAlone = DeflateBlock(
      literals: lengths([256: 1], of: 257), distances: [0], isFinal: false)
    endAlone.append(256)
    endAlone.append(bits: 0b001, count: 3)
    // The last code of the literals and the four of the distances are one run.
    var across = DeflateBlock(
      literals: lengths([7: 2, 8: 2, 256: 2, 257: 2], of: 258), distances: [2, 2, 2, 2],
      steps: [DeflateBlock.Step](repeating: .length(0), count: 7)
        + [.length(2), .length(2), .zeros(138), .zeros(109), .length(2), .again(5)])
    across.append(7, 8)
    across.appendMatch(length: 3, distance: 2)
    across.append(256)
    var most = DeflateBlock(
      literals: lengths([7: 1, 256: 2, 285: 2], of: 286), distances: lengths([0: 1, 29: 1], of: 30))
    most.append(7, 7, 7, 7, 7, 256)
    return try [
      vector("one-distance", oneDistance),
      vector("no-distance", noDistance),
      vector("end-code-alone", endAlone, "05 00 FA FF 01 02 03 04 05"),
      vector("repeat-across", across),
      vector("most-codes", most),
    ]
  }
}
