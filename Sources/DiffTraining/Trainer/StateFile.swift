import SystemSupport
import TensorCore

/// A writer of the state that a training needs to continue, to a file that appears when complete.
///
/// After the signature, parts follow one another without names, in the order in which
/// `StateReader` takes them; the last 8 bytes are a checksum. The file is for the same build on
/// the same machine.
final class StateWriter {
  /// The last byte is the version: 4 added the number of ranks, 3 the best epoch, 2 hashes values
  /// by XXH3; files of version 1 have no signature.
  fileprivate static let signature = Array("DKSTATE".utf8) + [4]

  private let output: OutputFile
  private var offset: UInt64 = 0
  private var checksums: [UInt8] = []

  init(_ path: String) throws(DiffError) {
    output = try OutputFile(path, overwriting: true)
    try write(Self.signature.span)
  }

  func put(_ bytes: [UInt8]) throws(DiffError) {
    try write(UInt64(bytes.count).littleEndianBytes.span)
    try write(bytes.span)
  }

  func put(_ numbers: [Double]) throws(DiffError) {
    try put(numbers.map(\.bitPattern).littleEndianBytes)
  }

  func put(_ numbers: [Float]) throws(DiffError) {
    try put(numbers.map(\.bitPattern).littleEndianBytes)
  }

  func put(_ flags: [Bool]) throws(DiffError) { try put(flags.map { $0 ? UInt8(1) : 0 }) }

  /// Writes ranges of a buffer; by default all of it.
  func put(_ values: FloatBuffer, _ ranges: [Range<Int>]? = nil) throws(DiffError) {
    for range in ranges ?? [0..<values.count] {
      try write(values.bytes(range))
    }
  }

  /// Writes the values of the head.
  func putHead(_ values: FloatBuffer, _ layout: ParameterLayout) throws(DiffError) {
    try put(values, layout.headIndices.map { layout.parameters[$0].range })
  }

  func commit() throws(DiffError) {
    let sum = XXH3.hash64(checksums.span).littleEndianBytes
    try output.file.write(sum.span, at: offset)
    try output.commit()
  }

  private func write(_ bytes: Span<UInt8>) throws(DiffError) {
    try output.file.write(bytes, at: offset)
    offset += UInt64(bytes.count)
    checksums += XXH3.hash64(bytes).littleEndianBytes
  }
}

/// Reads what `StateWriter` wrote, in the same order. The first of several ranks reads the file and
/// sends it to the others.
final class StateReader {
  let path: String
  private let ranks: Ranks
  /// The file; nil on all ranks but the first.
  private let file: File?
  private let size: UInt64
  private var offset: UInt64 = 0
  private var checksums: [UInt8] = []

  init(_ path: String, _ ranks: Ranks = Ranks()) throws(DiffError) {
    self.path = path
    self.ranks = ranks
    let opened = try ranks.agree { () throws(DiffError) -> (file: File?, size: UInt64) in
      guard ranks.isFirst else { return (nil, 0) }
      let file = try File(path)
      return (file, try file.size)
    }
    file = opened.file
    size = try ranks.gather(opened.size)[0]
    guard size >= 8, try read(8) == StateWriter.signature else {
      throw ranks.common(
        DiffError(
          .unsupportedVersion,
          "is not a training state of this version of diffkit; start the training anew", path: path)
      )
    }
  }

  func takeBytes() throws(DiffError) -> [UInt8] {
    let count: UInt64 = try read(8).littleEndian(at: 0)
    guard count <= size - offset else { throw damaged }
    return try read(Int(count))
  }

  func takeDoubles(_ count: Int) throws(DiffError) -> [Double] {
    let bytes = try takeBytes()
    guard bytes.count == count * 8 else { throw damaged }
    return (0..<count).map { Double(bitPattern: bytes.littleEndian(at: $0 * 8)) }
  }

  /// Reads whole numbers in a range; the checksum, which is read last, does not protect them yet.
  func takeInts(_ count: Int, in range: ClosedRange<Int>) throws(DiffError) -> [Int] {
    var numbers: [Int] = []
    for double in try takeDoubles(count) {
      guard let number = Int(exactly: double), range.contains(number) else { throw damaged }
      numbers.append(number)
    }
    return numbers
  }

  func takeInt(in range: ClosedRange<Int>) throws(DiffError) -> Int {
    try takeInts(1, in: range)[0]
  }

  func takeFloats(_ count: Int) throws(DiffError) -> [Float] {
    let bytes = try takeBytes()
    guard bytes.count == count * 4 else { throw damaged }
    return (0..<count).map { Float(bitPattern: bytes.littleEndian(at: $0 * 4)) }
  }

  func takeFlags(_ count: Int) throws(DiffError) -> [Bool] {
    let bytes = try takeBytes()
    guard bytes.count == count else { throw damaged }
    return bytes.map { $0 != 0 }
  }

  func take(_ values: FloatBuffer, _ ranges: [Range<Int>]? = nil) throws(DiffError) {
    for range in ranges ?? [0..<values.count] {
      guard UInt64(range.count * 4) <= size - offset else { throw damaged }
      if let file {
        var bytes = values.mutableBytes(range)
        try file.read(at: offset, into: &bytes)
      }
      try ranks.broadcast(values, range)
      offset += UInt64(range.count * 4)
      checksums += XXH3.hash64(values.bytes(range)).littleEndianBytes
    }
  }

  func takeHead(_ values: FloatBuffer, _ layout: ParameterLayout) throws(DiffError) {
    try take(values, layout.headIndices.map { layout.parameters[$0].range })
  }

  /// Checks that everything was read, and equals what was written.
  func finish() throws(DiffError) {
    let sum = XXH3.hash64(checksums.span).littleEndianBytes
    guard offset + 8 == size, try read(8) == sum else { throw damaged }
  }

  private var damaged: DiffError {
    ranks.common(
      DiffError(
        .checksum, "is damaged, or was written by another version or for another training",
        path: path))
  }

  private func read(_ count: Int) throws(DiffError) -> [UInt8] {
    guard UInt64(count) <= size - offset else { throw damaged }
    var bytes = try file?.bytes(at: offset, count: count) ?? [UInt8](repeating: 0, count: count)
    try ranks.broadcast(&bytes)
    offset += UInt64(count)
    checksums += XXH3.hash64(bytes.span).littleEndianBytes
    return bytes
  }
}
