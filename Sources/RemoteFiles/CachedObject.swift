import StrictJSON
import SystemSupport
import TensorCore

/// An object in a cache folder: a file of the bytes that have arrived, and beside it a file of the
/// object's state. In use by one process at a time.
final class CachedObject {
  /// The state of an object: its size, its version and the bytes that have arrived.
  struct State {
    var size: UInt64
    var validator: Validator
    var present: ByteRanges
  }

  let file: File
  let state: State?
  private let path, statePath: String

  /// Opens the object of an address, or returns nil while another process uses it.
  init?(_ address: RemoteAddress, in folder: String) throws(DiffError) {
    try Folder.create(folder)
    let name = address.cacheName
    path = "\(folder)/\(name).bytes"
    statePath = "\(folder)/\(name).json"
    if File.exists(path) {
      file = try File(path, writable: true)
    } else {
      do throws(DiffError) { file = try File(creating: path) } catch {
        // Another process created it meanwhile.
        file = try File(path, writable: true)
      }
    }
    do throws(DiffError) { try file.lock(.exclusive) } catch { return nil }
    state = Self.read(statePath, try file.size)
  }

  private static func read(_ path: String, _ fileSize: UInt64) -> State? {
    guard let bytes = try? File.contents(of: path, limit: 1 << 24),
      let json = try? JSONValue(parsing: bytes), let size = json["size"]?.unsigned,
      let ranges = json["ranges"]?.elements
    else { return nil }
    var state = State(
      size: size,
      validator: Validator(
        entityTag: json["tag"]?.text, lastModified: json["modified"]?.text),
      present: ByteRanges())
    for range in ranges {
      guard let ends = range.elements?.compactMap(\.unsigned), ends.count == 2, ends[0] < ends[1],
        ends[1] <= min(size, fileSize)
      else { return nil }
      state.present.insert(ends[0]..<ends[1])
    }
    return state
  }

  /// Removes the object from the cache.
  func remove() {
    try? File.remove(statePath)
    try? File.remove(path)
  }

  /// Records the bytes that the file holds, after making them durable. Errors are ignored.
  func save(_ state: State, of file: File) {
    func number(_ value: UInt64) -> JSONValue { .number("\(value)") }
    func text(_ value: String?) -> JSONValue { value.map { .string($0) } ?? .null }
    let json = JSONValue.object([
      .init("size", number(state.size)), .init("tag", text(state.validator.entityTag)),
      .init("modified", text(state.validator.lastModified)),
      .init(
        "ranges",
        .array(
          state.present.ranges.map { .array([number($0.lowerBound), number($0.upperBound)]) })),
    ])
    do throws(DiffError) {
      try file.sync()
      try OutputFile.write(Array(json.compact.utf8), to: statePath, overwriting: true)
    } catch {
      // The bytes are fetched again the next time.
    }
  }
}
