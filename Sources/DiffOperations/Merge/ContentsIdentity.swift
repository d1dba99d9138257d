import DiffFormat
import TensorCore

/// The identity that the random choices of a diff depend on, in addition to seed, tensor and
/// position.
struct DrawIdentity: Sendable, Hashable {
  let contents: Fingerprint
  /// The number of preceding diffs with equal contents.
  let ordinal: UInt32

  var bytes: [UInt8] { contents.bytes + ordinal.littleEndianBytes }
}

extension DiffReader {
  /// Returns a hash of the effect of an additive diff, independent of its metadata and encodings:
  /// the names (with one separator), types and shapes of its tensors, positions and numbers of its
  /// changes, and fingerprints of whole tensors.
  ///
  /// - Complexity: O(changes).
  func contentsIdentity() throws(DiffError) -> Fingerprint {
    var bytes: [UInt8] = []
    for entry in sorted(by: { $0.name.key < $1.name.key }) {
      bytes += try contentsIdentity(of: entry)
    }
    return XXH3.hash128(bytes.span)
  }

  /// Returns bytes that identify the effect of an entry; empty if it changes nothing.
  private func contentsIdentity(of entry: DiffEntry) throws(DiffError) -> [UInt8] {
    let contents: [UInt8]
    if let addition = AdditiveReader(entry, of: self) {
      contents = try addition.contentsIdentity()
    } else {
      let known = try fingerprintingWhole(entry)
      contents = (known.result ?? known.base)?.bytes ?? [0]
    }
    return contents.isEmpty ? [] : entry.head + contents
  }
}

extension DiffEntry {
  /// The name, operation, type and shape, as bytes.
  fileprivate var head: [UInt8] {
    let key = Array(name.key.utf8)
    let extents = shape.extents.flatMap(\.littleEndianBytes)
    return key.count.littleEndianBytes + key + Array(operation.name.utf8) + [type.rawValue]
      + shape.extents.count.littleEndianBytes + extents
  }
}

extension AdditiveReader {
  /// Returns hashes of positions and of numbers, without zeros; empty if nothing changes.
  fileprivate func contentsIdentity() throws(DiffError) -> [UInt8] {
    var positionHash = XXH3Stream()
    var numberHash = XXH3Stream()
    var isEmpty = true
    var pages = diff.pages(of: entry)
    while let changes = try pages.next() {
      let numbers = changes.numbers(type, scale: scale)
      var positions: [UInt64] = []
      var bits: [UInt64] = []
      for i in numbers.indices where numbers[i] != 0 {
        positions.append(changes.position(i))
        bits.append(numbers[i].bitPattern)
      }
      isEmpty = isEmpty && bits.isEmpty
      positionHash.update(positions.littleEndianBytes.span)
      numberHash.update(bits.littleEndianBytes.span)
    }
    return isEmpty ? [] : positionHash.digest.bytes + numberHash.digest.bytes
  }
}
