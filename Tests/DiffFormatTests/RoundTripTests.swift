import DiffFormat
import TensorCore
import TestSupport
import Testing

/// The changes of an entry as they come back from a reader.
func contents(
  _ reader: DiffReader, _ entry: DiffEntry, _ stream: DiffStream = .changes
) throws -> (positions: [UInt64], values: [UInt8]) {
  var pages = reader.pages(of: entry, stream)
  var positions: [UInt64] = []
  var values: [UInt8] = []
  while try pages.next() {
    let offsets = pages.page.offsets
    for i in offsets.indices { positions.append(pages.page.start + UInt64(offsets[i])) }
    values.append(copying: pages.page.values)
  }
  return (positions, values)
}

/// A diff of one entry in memory.
func encode(
  _ entry: DiffEntry, _ positions: [UInt64], _ values: [UInt8], step: Int = .max,
  profile: EncodingProfile = .size
) throws -> [UInt8] {
  let sink = MemorySink()
  let writer = try DiffWriter(sink, profile: profile)
  try writer.begin(entry)
  let width = entry.valueWidth
  var at = 0
  while at < positions.count {
    let end = min(positions.count, at.addingReportingOverflow(step).overflow ? .max : at + step)
    let start = positions[at]
    // Offsets have 32 bits: a call cannot reach further.
    let near = positions[at..<end].prefix { $0 - start < 1 << 32 }
    let offsets = near.map { UInt32($0 - start) }
    try writer.append(
      at: start, offsets.span,
      values.span.extracting(at * width..<(at + offsets.count) * width))
    at += offsets.count
  }
  try writer.end()
  try writer.finish()
  return sink.bytes
}

@Suite struct RoundTripTests {
  @Test("random contents come back", arguments: 0..<120)
  func random(seed: Int) throws {
    var random = SplitMix64(seed: UInt64(seed))
    let clustering = Clustering.allCases[seed % Clustering.allCases.count]
    let columns = Int.random(in: 1...700, using: &random)
    let rows = Int.random(in: 1...(seed % 7 == 0 ? 3000 : 120), using: &random)
    let densities = [0.0005, 0.005, 0.05, 0.3, 0.9, 1]
    let density = densities[Int.random(in: densities.indices, using: &random)]
    let type = ElementType.allCases[seed % ElementType.allCases.count]
    let positions = positions(
      clustering, rows: rows, columns: columns, density: density, &random)
    var values = random.bytes(positions.count * type.width)
    if seed % 3 == 0 { for i in values.indices where i % type.width != 0 { values[i] = 7 } }
    if seed % 5 == 0 { for i in values.indices { values[i] &= 3 } }
    let shape = try #require(Shape([UInt64(rows), UInt64(columns)]))
    for profile in EncodingProfile.allCases {
      let bytes = try encode(
        DiffEntry("w", .xor, type, shape), positions, values, profile: profile)
      let chunked = try encode(
        DiffEntry("w", .xor, type, shape), positions, values, step: 1000, profile: profile)
      #expect(bytes == chunked, "seed \(seed): the size of calls changes the file")
      let reader = try DiffReader(bytes: bytes)
      let entry = try #require(reader.first)
      let back = try contents(reader, entry)
      #expect(back.positions == positions, "seed \(seed) \(clustering)")
      #expect(back.values == values, "seed \(seed) \(clustering)")
      #expect(entry.count == UInt64(positions.count))
    }
  }

  @Test("positions beyond 32 bits")
  func wide() throws {
    let shape = try #require(Shape([1 << 33]))
    let positions: [UInt64] = [0, 5, 1 << 32, (1 << 33) - 1]
    let bytes = try encode(
      DiffEntry("w", .replace, .u8, shape), positions, [1, 2, 3, 4])
    let reader = try DiffReader(bytes: bytes)
    let back = try contents(reader, reader[0])
    #expect(back.positions == positions)
    #expect(back.values == [1, 2, 3, 4])
  }
}
