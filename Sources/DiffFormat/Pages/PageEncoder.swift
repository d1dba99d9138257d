import Compression
import Kernels
import TensorCore

/// The criterion by which the writer chooses encodings.
public enum EncodingProfile: String, Sendable, Hashable, CaseIterable {
  /// The smallest encoding of each page.
  case size
  /// The encoding that decodes fastest: packed gaps and raw planes.
  case speed
}

/// The changes of a page that is not yet written.
struct PendingPage: Sendable {
  private(set) var changes = ChangeRun<UInt8>()
  private(set) var encoded: [UInt8] = []
  /// The writer's index of the entry.
  private(set) var entry = 0
  private(set) var stream = DiffStream.changes
  private var grid = Grid(vector: 0)
  /// Created by the first page that needs it.
  private var deflater: SendableDeflater?

  var isEmpty: Bool { changes.isEmpty }
  var isFull: Bool { changes.count == Layout.pageCapacity }

  /// The position after the last change.
  var end: UInt64 { changes.view.end }

  /// Returns whether a change at `position` is within the page's maximum span.
  func reaches(_ position: UInt64) -> Bool {
    changes.isEmpty || position &- changes.start < Layout.pageSpan
  }

  /// Starts an empty page of a stream.
  mutating func begin(at start: UInt64, of entry: Int, _ stream: DiffStream, _ grid: Grid) {
    changes.start = start
    self.entry = entry
    self.stream = stream
    self.grid = grid
  }

  /// Sets `encoded`, which depends on the changes, the grid and the profile only.
  mutating func encode(_ profile: EncodingProfile) {
    let deflater = deflater ?? SendableDeflater()
    self.deflater = deflater
    let positions = PagePositions(
      start: changes.start, span: end - changes.start, count: changes.count, grid: grid)
    let choice = positions.choose(changes.offsets, fast: profile == .speed)
    var bytes = encoded
    encoded = []
    bytes.removeAll(keepingCapacity: true)
    bytes.reserveCapacity(choice.size + changes.values.count + 64)
    bytes.append(choice.traversal.rawValue << 4 | choice.coding.rawValue)
    bytes.append(varint: UInt64(choice.size))
    let headSize = bytes.count
    positions.encode(choice, changes.offsets, into: &bytes)
    precondition(bytes.count == headSize + choice.size, "a code is not of its stated size")
    Planes.encode(
      changes.values.span, width: changes.view.width, fast: profile == .speed, deflater.deflater,
      into: &bytes)
    encoded = bytes
  }

  /// Appends changes up to the page's capacity and maximum span; returns their number, or nil if
  /// they do not ascend.
  mutating func append(_ added: ChangeView<UInt8>) -> Int? {
    guard !added.isEmpty, added.position(0) >= end else { return nil }
    var taken = min(added.count, Layout.pageCapacity - changes.count)
    // Only those within the maximum span; nearly always all.
    while added.position(taken - 1) &- changes.start >= Layout.pageSpan { taken -= 1 }
    return changes.append(added.extracting(0..<taken)) ? taken : nil
  }

  mutating func removeAll() { changes.removeAll() }
}

/// A deflater that is used by one thread at a time, since a pending page is a value.
private struct SendableDeflater: @unchecked Sendable {
  let deflater = Deflater()
}
