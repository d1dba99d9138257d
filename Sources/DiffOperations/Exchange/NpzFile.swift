import Compression
import DiffFormat
import StrictJSON
import SystemSupport
import TensorCore

/// An archive of arrays, as `numpy.savez` and `savez_compressed` write it.
package struct NpzFile {
  private let file: File
  private var members: [TensorName: Member] = [:]
  /// The names of the arrays, in the order of the directory.
  package private(set) var names: [TensorName] = []

  private struct Member {
    let isDeflated: Bool
    let hash: UInt32
    let size, fullSize, offset: UInt64
  }

  /// Reads the directory.
  ///
  /// - Throws: `notACheckpoint` if the file is not a ZIP archive, `malformed`, `unsupported`, `io`.
  package init(_ path: String) throws(DiffError) {
    file = try File(path)
    try readDirectory()
  }

  /// Reads an array.
  ///
  /// - Throws: `checksum`, `malformed`, `unsupported`, `io`.
  /// - Complexity: O(elements); memory is bounded by a multiple of the stored size.
  package func array(_ name: TensorName) throws(DiffError) -> NumPyArray {
    guard let member = members[name] else {
      throw DiffError(.mismatch, "has no array '\(name)'", path: file.path)
    }
    do { return try NumPyArray(try contents(member)) } catch {
      throw error.at(path: file.path).prefixed("array '\(name)'")
    }
  }

  private mutating func readDirectory() throws(DiffError) {
    let size = try file.size
    // The end record, which a comment of at most 64 kB may follow.
    let tail = try file.bytes(at: size - min(size, 65_557), count: Int(min(size, 65_557)))
    let starts = tail.indices.reversed().lazy.filter {
      $0 + 22 <= tail.count && tail[$0...].starts(with: "PK\u{5}\u{6}".utf8)
    }
    guard let end = starts.first(where: { $0 + 22 + tail.number(at: $0 + 20, 2) == tail.count })
    else { throw failure(.notACheckpoint, "not an archive of NumPy arrays (npz)") }
    let count = tail.number(at: end + 10, 2)
    let length = UInt64(tail.number(at: end + 12, 4))
    let offset = UInt64(tail.number(at: end + 16, 4))
    let endOffset = size - UInt64(tail.count - end)
    guard offset != UInt64(UInt32.max), count != 65_535 else {
      throw failure(.unsupported, "a ZIP64 archive; archives of 4 GB and more are not supported")
    }
    guard offset <= endOffset, length <= endOffset - offset, length >= UInt64(count) * 46 else {
      throw malformed("a directory outside the file")
    }
    let directory = try file.bytes(at: offset, count: Int(length))
    var at = 0
    for _ in 0..<count {
      guard directory.count - at >= 46, directory[at...].starts(with: "PK\u{1}\u{2}".utf8) else {
        throw malformed("a directory that is cut off")
      }
      let nameLength = directory.number(at: at + 28, 2)
      let rest = directory.number(at: at + 30, 2) + directory.number(at: at + 32, 2)
      guard directory.count - at - 46 >= nameLength + rest else {
        throw malformed("a directory that is cut off")
      }
      try addMember(
        directory, at, Array(directory[at + 46..<at + 46 + nameLength]), before: offset)
      at += 46 + nameLength + rest
    }
  }

  private mutating func addMember(
    _ directory: [UInt8], _ at: Int, _ name: [UInt8], before limit: UInt64
  ) throws(DiffError) {
    let method = directory.number(at: at + 10, 2)
    guard directory.number(at: at + 8, 2) & 1 == 0, method == 0 || method == 8 else {
      throw failure(.unsupported, "an encrypted archive, or a compression other than deflate")
    }
    let member = Member(
      isDeflated: method == 8, hash: UInt32(directory.number(at: at + 16, 4)),
      size: UInt64(directory.number(at: at + 20, 4)),
      fullSize: UInt64(directory.number(at: at + 24, 4)),
      offset: UInt64(directory.number(at: at + 42, 4)))
    // Deflate expands a byte to at most 1032.
    guard member.offset + 30 + member.size <= limit,
      member.isDeflated
        ? member.fullSize <= member.size * 1032 + 64 : member.fullSize == member.size
    else { throw malformed("an array of impossible size") }
    guard name.suffix(4).elementsEqual(".npy".utf8),
      let text = String(validating: name.dropLast(4), as: UTF8.self)
    else { throw malformed("a member that is not an array") }
    names.append(TensorName(text))
    guard members.updateValue(member, forKey: TensorName(text)) == nil else {
      throw malformed("two arrays of one name")
    }
  }

  private func contents(_ member: Member) throws(DiffError) -> [UInt8] {
    let head = try file.bytes(at: member.offset, count: 30)
    guard head.starts(with: "PK\u{3}\u{4}".utf8) else { throw malformed("no local header") }
    let start =
      member.offset + 30 + UInt64(head.number(at: 26, 2)) + UInt64(head.number(at: 28, 2))
    var bytes = try file.bytes(at: start, count: Int(member.size))
    if member.isDeflated {
      let stored = bytes
      bytes = [UInt8](repeating: 0, count: Int(member.fullSize))
      var out = bytes.mutableSpan
      guard Inflater().expand(stored.span, into: &out) == stored.count else {
        throw malformed("does not inflate to its size")
      }
    }
    guard checksumsMatch(CRC32.hash(bytes.span), member.hash) else {
      throw failure(.checksum, "does not match its checksum")
    }
    return bytes
  }

  private func failure(_ code: DiffError.Code, _ message: String) -> DiffError {
    DiffError(code, message, path: file.path)
  }

  private func malformed(_ message: String) -> DiffError { failure(.malformed, message) }
}

extension [UInt8] {
  /// Returns the little-endian number of two or four bytes at an index; all of them must exist.
  fileprivate func number(at start: Int, _ width: Int) -> Int {
    Int(span.littleEndian(at: start, width: width))
  }
}
