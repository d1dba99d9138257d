import Compression
import Kernels
import TensorCore

/// How the writer chooses among encodings.
public enum EncodingProfile: String, Sendable, Hashable, CaseIterable {
  /// The smallest encoding of each page.
  case size
  /// The one that decodes fastest: packed gaps and raw planes.
  case speed
}

/// Changes that are to become a page.
struct PendingPage: Sendable {
  var start: UInt64 = 0
  /// Positions less `start`.
  var offsets: [UInt32] = []
  var values: [UInt8] = []
  var encoded: [UInt8] = []
  /// What the page is of: an entry by the writer's number, its stream, the rows of that.
  private(set) var entry = 0
  private(set) var stream = DiffStream.changes
  private var grid = Grid(vector: 0)
  private var valueWidth = 1
  /// Made by the first page that needs it.
  private var deflater: SendableDeflater?

  var span: UInt64 { UInt64(offsets[offsets.count - 1]) + 1 }

  /// Whether a change at `position` can join the page.
  func reaches(_ position: UInt64) -> Bool {
    offsets.isEmpty || position &- start < Layout.pageSpan
  }

  /// Makes an empty page one of a stream.
  mutating func begin(
    at start: UInt64, of entry: Int, _ stream: DiffStream, _ grid: Grid, width: Int
  ) {
    self.start = start
    self.entry = entry
    self.stream = stream
    self.grid = grid
    valueWidth = width
  }

  /// Makes `encoded`; a function of the changes, the grid and the profile alone.
  mutating func encode(_ profile: EncodingProfile) {
    let deflater = deflater ?? SendableDeflater()
    self.deflater = deflater
    let positions = PagePositions(start: start, span: span, count: offsets.count, grid: grid)
    let choice = positions.choose(offsets, fast: profile == .speed)
    var bytes = encoded
    encoded = []
    bytes.removeAll(keepingCapacity: true)
    bytes.reserveCapacity(choice.size + values.count + 64)
    bytes.append(choice.traversal.rawValue << 4 | choice.coding.rawValue)
    bytes.append(varint: UInt64(choice.size))
    let headSize = bytes.count
    positions.encode(choice, offsets, into: &bytes)
    precondition(bytes.count == headSize + choice.size, "a code is not of its stated size")
    Planes.encode(
      values.span, width: valueWidth, fast: profile == .speed, deflater.deflater, into: &bytes)
    encoded = bytes
  }

  /// Adds changes at `origin + offsets[i]` as long as they fit the span of a page; returns how
  /// many. Nil if they do not ascend.
  mutating func append(
    at origin: UInt64, _ offsets: Span<UInt32>, _ values: Span<UInt8>, width: Int
  ) -> Int? {
    guard offsets.count > 0, origin + UInt64(offsets[0]) >= start + nextOffset else { return nil }
    // As many as the span of the page still reaches; nearly always all.
    var taken = offsets.count
    while origin + UInt64(offsets[taken - 1]) &- start >= Layout.pageSpan { taken -= 1 }
    let shift = UInt32(truncatingIfNeeded: origin &- start)
    guard Kernels.rebase(offsets.extracting(0..<taken), by: shift, appendingTo: &self.offsets)
    else { return nil }
    self.values.append(copying: values.extracting(0..<taken * width))
    return taken
  }

  /// One more than the last offset.
  private var nextOffset: UInt64 { offsets.last.map { UInt64($0) + 1 } ?? 0 }

  mutating func removeAll() {
    offsets.removeAll(keepingCapacity: true)
    values.removeAll(keepingCapacity: true)
  }
}

/// A deflater that one thread at a time uses: a pending page is a value.
private struct SendableDeflater: @unchecked Sendable {
  let deflater = Deflater()
}
