import Algorithms
import Synchronization
import SystemSupport
import TensorCore

/// A diff, open for reading. Opening reads and checks the header, footer and index of the file;
/// pages are read on request. Immutable, so that threads may share it.
///
///     let diff = try DiffReader("task.diff")
///     for entry in diff {
///       var pages = diff.pages(of: entry)
///       while let changes = try pages.next() {
///         // changes.start, .offsets, .values
///       }
///     }
public final class DiffReader: Sendable {
  /// The source of the bytes.
  public let source: any ByteSource
  /// The version of the file.
  public let major, minor: UInt16
  /// True if tensors may have elements that are not whole bytes (`f4`, `f6e2m3`, `f6e3m2`).
  public let hasPackedElements: Bool
  /// Free-form metadata of the diff: task, provenance, hyperparameters, parents.
  public let metadata: [String: String]
  /// XXH3-128 of the index: identifies the whole contents, since the index holds every checksum.
  public let identity: Fingerprint
  /// The number of bytes of the file and of its index.
  public let size, indexSize: UInt64

  private let index: [UInt8]
  private let indexOffset: UInt64
  /// The offset of each entry in the index, and of its pages in the file.
  private let entryOffsets: [(index: UInt64, pages: UInt64)]
  private let extensionRanges: [(identifier: UInt64, bytes: Range<Int>)]
  /// The entries by name, created by the first look-up of a name that no entry has exactly.
  private let names = AtomicLazyReference<NameTable<Int>>()

  /// Opens the file at `path`.
  ///
  /// - Throws: an error with a code of `spec/FORMAT.md`, section 10, or `io`.
  /// - Complexity: O(size of the index).
  public convenience init(_ path: String) throws(DiffError) {
    try self.init(File(path))
  }

  /// Opens a diff in memory.
  public convenience init(bytes: [UInt8]) throws(DiffError) {
    try self.init(MemorySource(bytes))
  }

  /// Opens a diff of any source with three reads: of the header, the footer and the index.
  public convenience init(_ source: any ByteSource) throws(DiffError) {
    do { try self.init(reading: source) } catch { throw error.at(path: source.name) }
  }

  private init(reading source: any ByteSource) throws(DiffError) {
    self.source = source
    size = try source.size
    (major, minor, hasPackedElements) = try readHeader(source, size)
    (indexSize, identity) = try readFooter(source, size)
    indexOffset = size - UInt64(Layout.footerSize) - indexSize
    let index = try source.bytes(at: indexOffset, count: Int(indexSize))
    self.index = index
    guard checksumsMatch(XXH3.hash128(index.span), identity) else {
      throw DiffError(.checksum, "the index does not match its checksum", offset: indexOffset)
    }
    var parser = IndexParser(
      index, origin: indexOffset, pageOffset: UInt64(Layout.headerSize),
      allowsPacked: hasPackedElements)
    metadata = try parser.metadata()
    let count = try parser.entryCount()
    var entryOffsets: [(index: UInt64, pages: UInt64)] = []
    entryOffsets.reserveCapacity(Int(count))
    for _ in 0..<count {
      entryOffsets.append((UInt64(parser.cursor.at), parser.pageOffset))
      try parser.skim()
    }
    self.entryOffsets = entryOffsets
    extensionRanges = try parser.extensions()
    guard parser.pageOffset == indexOffset else {
      throw DiffError(
        .malformed, "the pages take \(parser.pageOffset) bytes, not \(indexOffset)",
        offset: indexOffset)
    }
  }
}

extension DiffReader {
  /// The extensions of the diff, in ascending order of identifiers.
  public var extensions: [DiffExtension] {
    extensionRanges.map { DiffExtension(identifier: $0.identifier, bytes: Array(index[$0.bytes])) }
  }

  /// The changes to attributes of the container.
  public var attributes: [AttributeChange] { extensions.lazy.compactMap(\.attributes).first ?? [] }

  /// The fingerprints of the base and the result as whole checkpoints, if the diff has them.
  public var checkpoints: CheckpointFingerprints? {
    extensions.lazy.compactMap(\.checkpoints).first
  }

  /// The path, if it was opened by path, or the name of its source.
  public var path: String? { source.name }
}

extension DiffReader: RandomAccessCollection {
  /// Zero.
  public var startIndex: Int { 0 }
  /// The number of entries.
  public var endIndex: Int { entryOffsets.count }

  /// The entry at an index, in ascending order of names. O(its pages).
  public subscript(position: Int) -> DiffEntry {
    let offsets = entryOffsets[position]
    var parser = IndexParser(
      index, origin: indexOffset, at: Int(offsets.index), pageOffset: offsets.pages,
      allowsPacked: hasPackedElements)
    // `init` has parsed this entry without an error, and the bytes cannot change.
    guard let entry = try? parser.entry() else { fatalError("the index changed while it was open") }
    return entry
  }

  /// Returns the entry of a name, or of the one that differs from it in separators ('/' and '.') or
  /// else in a final ':0'; nil if there is none or more than one.
  ///
  /// - Complexity: O(log n) for a name as stored; the first look-up of another name takes O(n).
  public func entry(named name: TensorName) -> DiffEntry? { index(named: name).map { self[$0] } }

  /// Returns the index of the entry of a name; see `entry(named:)`.
  package func index(named name: TensorName) -> Int? {
    let first = indices.partitioningIndex { order($0, name) >= 0 }
    if first < count, order(first, name) == 0 { return first }
    let names = names.load() ?? names.storeIfNil(NameTable(indices.map { (self.name($0), $0) }))
    let found = names[name]
    return found.count == 1 ? found[0] : nil
  }

  private func name(_ position: Int) -> TensorName {
    TensorName(String(decoding: index[nameRange(position)], as: UTF8.self))
  }

  /// Returns a number less than zero if the name of an entry precedes another. Compares bytes:
  /// creating a string of each name would cost more than the search.
  private func order(_ position: Int, _ name: TensorName) -> Int {
    let index = index
    return index.span.extracting(nameRange(position)).compared(with: name.utf8.span)
  }

  private func nameRange(_ position: Int) -> Range<Int> {
    let start = Int(entryOffsets[position].index) + IndexParser.bytesBeforeName
    var cursor = Cursor(index, origin: indexOffset, at: start)
    // Checked by `init`, like the whole entry.
    return (try? cursor.text("name", atMost: Layout.nameLength)) ?? start..<start
  }
}

private func readHeader(
  _ source: any ByteSource, _ size: UInt64
) throws(DiffError) -> (major: UInt16, minor: UInt16, hasPackedElements: Bool) {
  let head = try source.bytes(at: 0, count: Int(min(size, UInt64(Layout.headerSize))))
  let signature = Layout.signature
  guard head.starts(with: signature.prefix(head.count)), head.count >= 8 else {
    if head.isEmpty { throw DiffError(.truncated, "the file is empty", offset: 0) }
    if signature.starts(with: head) {
      throw DiffError(.truncated, "the file ends inside its header", offset: size)
    }
    if Layout.textModeSignatures.contains(where: { head.starts(with: $0) }) {
      throw DiffError(
        .textMode, "damaged by a transfer in text mode; copy the file again, in binary mode",
        offset: 0)
    }
    let start = try source.bytes(at: 0, count: Int(min(size, 512)))
    throw DiffError(
      .notADiff,
      "not a diff: " + (WrappedFile.description(start) ?? "it does not begin with the signature"),
      offset: 0)
  }
  guard head.count == Layout.headerSize else {
    throw DiffError(.truncated, "the file ends inside its header", offset: size)
  }
  guard checksumsMatch(XXH3.hash64(head.span.extracting(0..<24)), head.littleEndian(at: 24)) else {
    throw DiffError(.checksum, "the header does not match its checksum", offset: 0)
  }
  let major: UInt16 = head.littleEndian(at: 8)
  guard major == Layout.major else {
    throw DiffError(
      .unsupportedVersion,
      "format version \(major); this diffkit reads version \(Layout.major)", offset: 8)
  }
  let incompatible: UInt32 = head.littleEndian(at: 12)
  guard incompatible & ~Layout.knownFeatures == 0 else {
    throw DiffError(
      .unsupportedFeature,
      "needs features 0x\(String(incompatible, radix: 16)); a newer diffkit may read it",
      offset: 12)
  }
  guard head.littleEndian(at: 20, as: UInt32.self) == 0 else {
    throw DiffError(.malformed, "reserved bytes are not zero", offset: 20)
  }
  return (major, head.littleEndian(at: 10), incompatible & Layout.packedElements != 0)
}

private func readFooter(
  _ source: any ByteSource, _ size: UInt64
) throws(DiffError) -> (indexSize: UInt64, identity: Fingerprint) {
  let ends = UInt64(Layout.headerSize + Layout.footerSize)
  guard size >= ends else {
    throw DiffError(.truncated, "the file ends before its footer", offset: size)
  }
  let start = size - UInt64(Layout.footerSize)
  let foot = try source.bytes(at: start, count: Layout.footerSize)
  guard foot.suffix(8).elementsEqual(Layout.endSignature) else {
    throw DiffError(
      .truncated, "the file does not end with the end signature: truncated or still being written",
      offset: size)
  }
  guard checksumsMatch(XXH3.hash64(foot.span.extracting(0..<32)), foot.littleEndian(at: 32)) else {
    throw DiffError(.checksum, "the footer does not match its checksum", offset: start)
  }
  let stated: UInt64 = foot.littleEndian(at: 8)
  guard stated == size else {
    throw DiffError(.malformed, "the file has \(size) bytes, not \(stated)", offset: start + 8)
  }
  let indexSize: UInt64 = foot.littleEndian(at: 0)
  guard indexSize <= size - ends else {
    throw DiffError(.malformed, "the index is larger than the file", offset: start)
  }
  return (indexSize, Fingerprint(foot, at: 16))
}
