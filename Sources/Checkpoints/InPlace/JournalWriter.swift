import Platform
import SystemSupport
import TensorCore

/// A journal that is being written. Records may be appended by several threads.
final class JournalWriter: Sendable {
  let path: String
  private let state: Guarded<State>

  private struct State: ~Copyable {
    let output: OutputFile
    var size: UInt64 = 0
    /// The end of the bytes that the system has been asked to write to the device.
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

  /// Starts the journal of files in one folder.
  ///
  /// - Throws: `exists` if there is already a journal.
  init(
    _ path: String, _ files: [File], version: UInt32 = Journal.version
  ) throws(DiffError) {
    self.path = path
    var header = Journal.signature
    header.append(littleEndian: version)
    header.append(littleEndian: UInt32(files.count))
    for file in files {
      let name = OutputFile.split(file.path).name
      header.append(littleEndian: UInt32(name.utf8.count))
      header += name.utf8
      header.append(littleEndian: try file.size)
    }
    // It holds bytes of the checkpoint, so it gets the same permissions.
    let permissions = try files.first?.status().st_mode
    var state = State(
      output: try OutputFile(path, overwriting: false, permissions: permissions))
    try state.append(header)
    self.state = Guarded(state)
  }

  /// True if no records were appended.
  var isEmpty: Bool { state.withLock { $0.isEmpty } }

  /// Appends a record: the runs of changes to a file.
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

  /// Makes the journal durable and moves it to its path.
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
