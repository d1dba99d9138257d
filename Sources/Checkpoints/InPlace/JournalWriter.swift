import Kernels
import SystemSupport
import TensorCore

/// A journal in the making. Batches may be appended by several threads.
final class JournalWriter: Sendable {
  let path: String
  private let state: Guarded<State>

  private struct State: ~Copyable {
    let output: OutputFile
    var size: UInt64 = 0
    var hash = XXH3Stream()
    var batches = 0

    mutating func append(_ bytes: [UInt8]) throws(DiffError) {
      try output.file.write(bytes.span, at: size)
      size += UInt64(bytes.count)
      hash.update(bytes.span)
    }
  }

  /// Begins the journal of some files of one folder.
  ///
  /// - Throws: `exists` if there is a journal already.
  init(_ path: String, _ files: [File]) throws(DiffError) {
    self.path = path
    var header = Journal.signature
    header.append(littleEndian: Journal.version)
    header.append(littleEndian: UInt32(files.count))
    for file in files {
      let name = OutputFile.split(file.path).name
      header.append(littleEndian: UInt32(name.utf8.count))
      header += name.utf8
      header.append(littleEndian: try file.size)
    }
    // It holds parts of the checkpoint, so nobody may read it who may not read that.
    let permissions = try files.first?.status().st_mode
    var state = State(
      output: try OutputFile(path, overwriting: false, permissions: permissions))
    try state.append(header)
    self.state = Guarded(state)
  }

  /// Whether nothing was appended.
  var isEmpty: Bool { state.withLock { $0.batches == 0 } }

  /// Notes what is to change in a file: where `new` differs from `old`, which stands at `offset`.
  func append(
    file: Int, at offset: UInt64, old: Span<UInt8>, new: Span<UInt8>
  ) throws(DiffError) {
    var spans: [UInt8] = []
    for range in differences(old, new) {
      spans.append(littleEndian: offset + UInt64(range.lowerBound))
      spans.append(littleEndian: UInt32(range.count))
      spans.append(copying: old.extracting(range))
      spans.append(copying: new.extracting(range))
    }
    guard !spans.isEmpty else { return }
    var header: [UInt8] = []
    header.append(littleEndian: UInt32(file))
    header.append(littleEndian: UInt32(spans.count))
    try state.withLock { state throws(DiffError) in
      try state.append(header + spans)
      state.batches += 1
    }
  }

  /// Makes the journal durable and gives it its name.
  func commit() throws(DiffError) {
    try state.withLock { state throws(DiffError) in
      var end: [UInt8] = []
      end.append(littleEndian: Journal.end)
      end.append(littleEndian: UInt32(0))
      try state.append(end)
      try state.append(state.hash.digest.bytes)
      do throws(DiffError) { try state.output.commit() } catch {
        // It may have got its name and not be durable; nothing has changed yet.
        if error.code != .exists { try? File.remove(path) }
        throw error
      }
    }
  }

  /// Where two blocks differ, in steps of eight bytes; what is close together is one range.
  private func differences(_ old: Span<UInt8>, _ new: Span<UInt8>) -> [Range<Int>] {
    let whole = old.count / 8 * 8
    let words = Kernels.differences(
      old.extracting(0..<whole), new.extracting(0..<whole), width: 8)
    var ranges: [Range<Int>] = []
    for word in words {
      let start = Int(word) * 8
      if let last = ranges.last, start <= last.upperBound + 8 {
        ranges[ranges.count - 1] = last.lowerBound..<start + 8
      } else {
        ranges.append(start..<start + 8)
      }
    }
    if (whole..<old.count).contains(where: { old[$0] != new[$0] }) {
      ranges.append(whole..<old.count)
    }
    return ranges
  }
}
