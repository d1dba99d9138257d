import Algorithms
import SystemSupport
import TensorCore

/// The client side of libhdf5: typed calls on one file, with validated replies.
///
/// The session starts with the first call that needs it, and can be ended in between by
/// `endSession`.
final class HDF5Client: Sendable {
  /// The mode in which the file is opened.
  enum Mode { case reading, changing, creating }

  private let host: HDF5Host
  private let file: File
  private let mode: Mode
  /// The session, and whether the file is open in it.
  private let state = Guarded<(session: (any HDF5Session)?, isOpen: Bool)>((nil, false))

  init(_ host: HDF5Host, _ file: File, _ mode: Mode) {
    self.host = host
    self.file = file
    self.mode = mode
  }

  /// Returns the checked table of the file.
  func table() throws(DiffError) -> HDF5Table {
    let size = try file.size
    // A row of the table takes no more than twice what its object takes in the file.
    return try call(
      .table, limit: min(2 * size, 256 << 20), seconds: Double(size / (16 << 20))
    ) { reply throws(DiffError) in
      var table = try reply.table()
      try table.check(fileSize: size)
      return table
    }
  }

  /// Returns the contents of the file other than tensors, with hashes.
  func contents() throws(DiffError) -> [OtherContent] {
    let size = try file.size
    return try call(
      .contents, limit: min(2 * size, 256 << 20), seconds: 60 + Double(size / (4 << 20))
    ) { reply throws(DiffError) in try reply.contents() }
  }

  func read(
    _ tensor: StoredTensor, at offset: UInt64, into buffer: inout MutableSpan<UInt8>
  ) throws(DiffError) {
    let count = buffer.count
    let bytes = try call(
      .read(name: tensor.name, offset: offset, count: count), limit: UInt64(count),
      seconds: seconds(tensor)
    ) { reply throws(DiffError) in
      let bytes = try reply.run()
      guard bytes.count == count else { throw .brokenMessage }
      return bytes
    }
    buffer.copy(bytes.span)
  }

  func write(
    _ bytes: Span<UInt8>, to tensor: StoredTensor, at offset: UInt64
  ) throws(DiffError) {
    var copy: [UInt8] = []
    copy.append(copying: bytes)
    try call(.write(name: tensor.name, offset: offset, bytes: copy), seconds: seconds(tensor))
  }

  func write(_ chunks: [PackedChunk], to tensor: StoredTensor) throws(DiffError) {
    let size = chunks.reduce(0) { $0 + $1.bytes.count }
    try call(.writeChunks(name: tensor.name, chunks), seconds: Double(size) / 1e6)
  }

  /// Adds tensors, in groups that bound the size of a message.
  func insert(
    _ tensors: [(name: TensorName, type: ElementType, shape: Shape)]
  ) throws(DiffError) -> [StoredTensor] {
    var stored: [StoredTensor] = []
    for group in tensors.chunks(ofCount: 4096) {
      let size = group.reduce(0) { $0 + 1024 + $1.name.utf8.count }
      stored += try call(
        .insert(Array(group)), limit: UInt64(size), seconds: Double(group.count) / 100
      ) { reply throws(DiffError) in
        let made = try reply.newTensors(Array(group), fileSize: file.size)
        try reply.end()
        return made
      }
    }
    return stored
  }

  func reshape(_ tensor: StoredTensor, to shape: Shape) throws(DiffError) -> StoredTensor {
    try call(.reshape(names: [tensor.name] + tensor.aliases, shape)) { reply throws(DiffError) in
      let made = try reply.newTensors(
        [(tensor.name, tensor.type, shape)], fileSize: file.size)
      try reply.end()
      return made[0]
    }
  }

  func delete(_ tensor: StoredTensor) throws(DiffError) {
    try call(.delete(names: [tensor.name] + tensor.aliases))
  }

  /// Sets an attribute of an object, or removes it if `value` is nil; an empty name is the root
  /// group.
  func setAttribute(
    of object: TensorName = "", _ name: String, _ value: AttributeValue?
  ) throws(DiffError) {
    try call(.setAttribute(object: object, name: name, value))
  }

  /// Flushes and closes the file; the next call opens it again.
  func close() throws(DiffError) {
    try state.withLock { state throws(DiffError) in
      try dropParentSession(&state)
      guard state.isOpen, let session = state.session else { return }
      state.isOpen = false
      _ = try send(session, .close, limit: 0, seconds: 60)
    }
  }

  /// Ends the session if the file is only read; the next call starts another one.
  func endSession() { if mode == .reading { state.withLock { $0 = (nil, false) } } }

  /// Opens the file if it is not open.
  func open() throws(DiffError) {
    try state.withLock { state throws(DiffError) in _ = try opened(&state) }
  }

  /// Sends a request and decodes its reply. Errors get the path of the file.
  private func call<Result>(
    _ request: HDF5Request, limit: UInt64 = 0, seconds: Double = 0,
    _ body: (inout MessageReader) throws(DiffError) -> Result
  ) throws(DiffError) -> Result {
    do throws(DiffError) {
      var reply = try state.withLock { state throws(DiffError) in
        try send(opened(&state), request, limit: limit, seconds: seconds)
      }
      return try body(&reply)
    } catch { throw error.at(path: file.path) }
  }

  /// Sends a request whose reply is empty.
  private func call(_ request: HDF5Request, seconds: Double = 0) throws(DiffError) {
    try call(request, seconds: seconds) { _ throws(DiffError) in }
  }

  private func opened(
    _ state: inout (session: (any HDF5Session)?, isOpen: Bool)
  ) throws(DiffError) -> any HDF5Session {
    try dropParentSession(&state)
    let session: any HDF5Session
    if let running = state.session { session = running } else { session = try host.start(file) }
    state.session = session
    if !state.isOpen {
      let isEmpty = try file.size == 0
      let request: HDF5Request =
        switch mode {
        case .reading: .open
        case .changing: .openForChanges
        // Only an empty file is created.
        case .creating: isEmpty ? .create : .openForChanges
        }
      _ = try send(session, request, limit: 0, seconds: 0)
      state.isOpen = true
    }
    return session
  }

  /// Drops a session that belongs to the process that this one was forked from.
  private func dropParentSession(
    _ state: inout (session: (any HDF5Session)?, isOpen: Bool)
  ) throws(DiffError) {
    guard let session = state.session, !session.isOfThisProcess else { return }
    guard mode == .reading else {
      throw DiffError(.unsupported, "is being written by the process that this one was forked from")
    }
    state = (nil, false)
  }

  private func send(
    _ session: any HDF5Session, _ request: HDF5Request, limit: UInt64, seconds: Double
  ) throws(DiffError) -> MessageReader {
    // Names and error messages need some space in every reply.
    try HDF5Reply.reader(
      session.call(request.message, limit: limit + (1 << 20), seconds: 8 + seconds))
  }

  /// Returns the time limit for a read or write. A filter may process a whole chunk for each of its
  /// elements; the ratio of unpacked to stored size is bounded.
  private func seconds(_ tensor: StoredTensor) -> Double {
    guard case .chunked(let chunks) = tensor.storage else { return 0 }
    let stored = chunks.chunks.lazy.map(\.size).max() ?? 0
    return Double(min(chunks.byteCount(tensor.type), stored * 2000)) / 5e7
  }
}

extension MessageReader {
  /// Reads tensors and checks that they are the requested ones.
  fileprivate mutating func newTensors(
    _ wanted: [(name: TensorName, type: ElementType, shape: Shape)], fileSize: UInt64
  ) throws(DiffError) -> [StoredTensor] {
    var made: [StoredTensor] = []
    for (name, type, shape) in wanted {
      let tensor = try tensor()
      guard tensor.name == name, tensor.type == type, tensor.shape == shape else {
        throw .brokenMessage
      }
      try tensor.check(fileSize: fileSize)
      made.append(tensor)
    }
    return made
  }
}
