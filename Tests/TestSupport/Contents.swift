import DiffFormat
import TensorCore

/// The positions and values of one stream.
package struct Changes: Sendable, Hashable {
  package var positions: [UInt64]
  package var values: [UInt8]

  package init(_ positions: [UInt64] = [], _ values: [UInt8] = []) {
    self.positions = positions
    self.values = values
  }

  /// Creates changes of all elements of a stream of whole tensors.
  package init(whole values: [UInt8], width: Int) {
    self.init((0..<values.count / width).map(UInt64.init), values)
  }
}

/// The contents of a diff, independent of their encoding.
package struct Contents: Sendable {
  /// An entry without its pages, and their contents.
  package struct Tensor: Sendable {
    package var entry: DiffEntry
    package var streams: [DiffStream: Changes]

    package init(_ entry: DiffEntry, _ streams: [DiffStream: Changes]) {
      self.entry = entry
      self.streams = streams
    }

    package init(_ entry: DiffEntry, _ changes: Changes = Changes()) {
      self.init(entry, [.changes: changes])
    }
  }

  package var metadata: [String: String]
  package var tensors: [Tensor]

  package init(metadata: [String: String] = [:], _ tensors: [Tensor]) {
    self.metadata = metadata
    self.tensors = tensors
  }
}

extension Contents: Equatable {
  /// Compares metadata by bytes: as strings, different encodings of an accented letter are equal.
  package static func == (a: Contents, b: Contents) -> Bool {
    a.metadata.count == b.metadata.count
      && a.metadata.allSatisfy { key, value in
        b.metadata[key].map { Array($0.utf8) } == Array(value.utf8)
      }
      && a.tensors.count == b.tensors.count
      && zip(a.tensors, b.tensors).allSatisfy { a, b in
        a.entry == b.entry && a.streams == b.streams
      }
  }
}

// MARK: Decoding

extension DiffReader {
  /// Decodes all entries.
  package func contents() throws(DiffError) -> Contents {
    var all = Contents(metadata: metadata, [])
    for entry in self { all.tensors.append(try contents(of: entry)) }
    return all
  }

  package func contents(of entry: DiffEntry) throws(DiffError) -> Contents.Tensor {
    var bare = entry
    bare.pages = [:]
    var tensor = Contents.Tensor(bare, [:])
    for stream in entry.operation.streams {
      var pages = pages(of: entry, stream)
      var changes = Changes()
      while let page = try pages.next() { changes.append(page) }
      tensor.streams[stream] = changes
    }
    return tensor
  }

  /// Decodes every page and discards it.
  package func verify() throws(DiffError) {
    for entry in self {
      for stream in entry.operation.streams {
        var pages = pages(of: entry, stream)
        while try pages.next() != nil {}
      }
    }
  }
}

extension Changes {
  package mutating func append(_ page: ChangeView<UInt8>) {
    for i in 0..<page.count { positions.append(page.position(i)) }
    values.append(copying: page.values)
  }
}

// MARK: Encoding

extension Contents {
  /// Returns the file, written in calls of at most `step` changes.
  package func encoded(
    profile: EncodingProfile = .size, step: Int = .max
  ) throws(DiffError) -> [UInt8] {
    let sink = MemorySink()
    try write(to: sink, profile: profile, step: step)
    return sink.bytes
  }

  package func write(
    to sink: any ByteSink, profile: EncodingProfile = .size, step: Int = .max
  ) throws(DiffError) {
    let writer = try DiffWriter(
      sink, metadata: metadata, profile: profile,
      packed: tensors.contains { $0.entry.type.unit > 1 })
    for tensor in tensors {
      try writer.begin(tensor.entry)
      for stream in tensor.entry.operation.streams {
        if stream != .changes { try writer.begin(stream) }
        let changes = tensor.streams[stream] ?? Changes()
        try writer.append(changes, width: tensor.entry.valueWidth, step: step)
      }
      try writer.end()
    }
    try writer.finish()
  }
}

extension DiffWriter {
  /// Appends changes in calls of at most `step`.
  package func append(
    _ changes: Changes, width: Int, step: Int = .max
  ) throws(DiffError) {
    let positions = changes.positions
    var at = 0
    while at < positions.count {
      let start = positions[at]
      // Offsets have 32 bits: a call cannot reach further.
      let near = positions[at...].prefix(step).prefix { $0 &- start < 1 << 32 }
      let offsets = near.map { UInt32($0 - start) }
      let end = at + offsets.count
      try append(
        ChangeView(
          at: start, offsets.span, changes.values.span.extracting(at * width..<end * width)))
      at = end
    }
  }
}
