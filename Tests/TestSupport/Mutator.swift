import Kernels
import TensorCore

/// Makes random changes in a valid diff and corrects lengths and checksums, so that a reader gets
/// past them.
package struct Mutator {
  package var random: SplitMix64

  package init(seed: UInt64) { random = SplitMix64(seed: seed) }

  /// Returns a mutated file: one to four changes of fields, pages or their order.
  package mutating func mutate(_ file: [UInt8]) -> [UInt8] {
    var image = DiffImage(file)
    for _ in 0..<Int.random(in: 1...4, using: &random) { mutateOnce(&image) }
    return image.bytes
  }

  private mutating func mutateOnce(_ image: inout DiffImage) {
    switch random.next() % 10 {
    case 0..<5 where !image.pages.isEmpty: mutatePage(&image)
    case 5: moveField(&image)
    case 6 where random.next() % 8 == 0: image.header[Int(random.next() % 24)] ^= bit()
    default:
      let index = Int.random(in: image.fields.indices, using: &random)
      mutate(&image.fields[index].bytes)
    }
  }

  /// Changes a page's bytes, and updates size and checksum if their row still exists.
  private mutating func mutatePage(_ image: inout DiffImage) {
    let page = Int.random(in: image.pages.indices, using: &random)
    var bytes = image.pages[page]
    if random.next() % 6 == 0 {
      bytes = image.pages[Int.random(in: image.pages.indices, using: &random)]
    }
    if random.next() % 4 == 0, !bytes.isEmpty {
      bytes[0] = UInt8(random.next() % 4 | random.next() % 3 << 4)
    }
    for _ in 0..<Int.random(in: 0...3, using: &random) { mutate(&bytes) }
    image.pages[page] = bytes
    let row = image.pageNames[page]
    func set(_ field: String, _ value: [UInt8]) {
      guard let index = image.fields.firstIndex(where: { $0.name == "\(row).\(field)" }) else {
        return
      }
      image.fields[index].bytes = value
    }
    set("size", varint(UInt64(bytes.count)))
    set("checksum", XXH3.hash64(bytes.span).littleEndianBytes)
  }

  private mutating func moveField(_ image: inout DiffImage) {
    let from = Int.random(in: image.fields.indices, using: &random)
    let field = image.fields[from]
    if random.next() % 2 == 0, image.fields.count > 1 { image.fields.remove(at: from) }
    image.fields.insert(field, at: Int.random(in: 0...image.fields.count, using: &random))
  }

  private mutating func bit() -> UInt8 { 1 << UInt8(random.next() % 8) }

  /// Changes some bytes: flips a bit, replaces a number, inserts or removes bytes.
  private mutating func mutate(_ bytes: inout [UInt8]) {
    let offset = Int.random(in: 0...bytes.count, using: &random)
    switch random.next() % 7 {
    case 0 where offset < bytes.count: bytes[offset] ^= bit()
    case 1 where offset < bytes.count: bytes[offset] = UInt8(truncatingIfNeeded: random.next())
    case 2 where offset < bytes.count: bytes[offset] &+= random.next() % 2 == 0 ? 1 : 255
    case 3 where offset < bytes.count:
      bytes.removeSubrange(offset..<min(bytes.count, offset + Int(random.next() % 4) + 1))
    case 4: bytes.insert(contentsOf: random.bytes(Int(random.next() % 4)), at: offset)
    case 5: bytes = varint(edge())
    default: bytes.replaceSubrange(offset..<min(bytes.count, offset + 1), with: varint(edge()))
    }
  }

  /// Returns a number next to a power of two.
  private mutating func edge() -> UInt64 {
    let power: UInt64 = 1 << (random.next() % 64)
    return power &+ random.next() % 3 &- 1
  }
}
