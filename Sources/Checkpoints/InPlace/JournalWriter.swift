import Platform
import SystemSupport
import TensorCore

/// A journal in the making. Batches may be appended by several threads.
final class JournalWriter: Sendable {
  let path: String
  private let state: Guarded<State>

  private struct State: ~Copyable {
    let output: OutputFile
    var size: UInt64 = 0
    /// Up to where the device has begun to write.
    var begun: UInt64 = 0
    var hash = XXH3Stream()
    var isEmpty = true

    mutating func append(_ bytes: [UInt8]) throws(DiffError) {
      try output.file.write(bytes.span, at: size)
      size += UInt64(bytes.count)
      hash.update(bytes.span)
      guard size - begun >= 8 << 20 else { return }
      output.file.beginWriting(begun..<size)
      begun = size
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
  var isEmpty: Bool { state.withLock { $0.isEmpty } }

  /// Notes what is to change in a file: a batch of runs.
  func append(_ runs: [UInt8], file: Int) throws(DiffError) {
    guard !runs.isEmpty else { return }
    var header: [UInt8] = []
    header.append(littleEndian: UInt32(file))
    header.append(littleEndian: UInt32(runs.count))
    try state.withLock { state throws(DiffError) in
      try state.append(header)
      try state.append(runs)
      state.isEmpty = false
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
      try state.output.commit()
    }
  }
}
