import Kernels
import TensorCore

/// Changes a valid diff at random places and makes lengths and checksums right again, so that a
/// reader gets past them.
package struct Mutator {
  package var random: SplitMix64

  package init(seed: UInt64) { random = SplitMix64(seed: seed) }

  /// A mutated file: one to four changes of fields, pages or their order.
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
      let place = Int.random(in: image.fields.indices, using: &random)
      mutate(&image.fields[place].bytes)
    }
  }

  /// A page's bytes; size and checksum follow where their row is still there.
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
      guard let place = image.fields.firstIndex(where: { $0.name == "\(row).\(field)" }) else {
        return
      }
      image.fields[place].bytes = value
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

  /// Changes a run of bytes: a bit, a number in its place, bytes more or less.
  private mutating func mutate(_ bytes: inout [UInt8]) {
    let place = Int.random(in: 0...bytes.count, using: &random)
    switch random.next() % 7 {
    case 0 where place < bytes.count: bytes[place] ^= bit()
    case 1 where place < bytes.count: bytes[place] = UInt8(truncatingIfNeeded: random.next())
    case 2 where place < bytes.count: bytes[place] &+= random.next() % 2 == 0 ? 1 : 255
    case 3 where place < bytes.count:
      bytes.removeSubrange(place..<min(bytes.count, place + Int(random.next() % 4) + 1))
    case 4: bytes.insert(contentsOf: random.bytes(Int(random.next() % 4)), at: place)
    case 5: bytes = varint(edge())
    default: bytes.replaceSubrange(place..<min(bytes.count, place + 1), with: varint(edge()))
    }
  }

  /// Numbers at which something changes.
  private mutating func edge() -> UInt64 {
    let power: UInt64 = 1 << (random.next() % 64)
    return power &+ random.next() % 3 &- 1
  }
}
