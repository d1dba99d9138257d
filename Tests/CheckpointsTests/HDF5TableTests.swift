import Checkpoints
import TensorCore
import Testing

/// Tables that are impossible for a file of a thousand bytes.
@Suite struct HDF5TableTests {
  private func tensor(
    _ name: TensorName, _ extents: [UInt64], _ storage: StoredTensor.Storage
  ) -> StoredTensor {
    StoredTensor(name: name, type: .f32, shape: Shape(extents) ?? .scalar, storage: storage)
  }

  private func chunked(
    _ sides: [UInt64], _ filters: [StoredTensor.Filter],
    _ rows: [(index: UInt64, offset: UInt64, size: UInt64)]
  ) -> StoredTensor.Storage {
    .chunked(
      StoredTensor.Chunks(
        shape: Shape(sides) ?? .scalar, filters: filters,
        chunks: rows.map { .init(index: $0.index, offset: $0.offset, size: $0.size, filterMask: 0) }
      ))
  }

  private func check(_ tensors: [StoredTensor]) throws(DiffError) -> HDF5Table {
    var table = HDF5Table()
    table.tensors = tensors
    try table.check(fileSize: 1000)
    if let error = table.damaged.first { throw error }
    return table
  }

  private func refusal(_ tensors: StoredTensor..., at place: SourceLocation = #_sourceLocation)
    -> DiffError?
  {
    #expect(throws: DiffError.self, sourceLocation: place) { try check(tensors) }
  }

  @Test("contiguous bytes are inside the file")
  func contiguous() throws {
    _ = try check([tensor("a", [250], .contiguous(offset: 0))])
    #expect(refusal(tensor("a", [250], .contiguous(offset: 1)))?.tensor == "a")
    #expect(refusal(tensor("a", [1], .contiguous(offset: .max)))?.code == .malformed)
    #expect(refusal(tensor("a", [1 << 59], .contiguous(offset: 0)))?.code == .malformed)
    #expect(refusal(tensor("a", [1 << 14], .compact))?.code == .malformed)
  }

  @Test("names ascend and are not empty")
  func names() throws {
    let one = tensor("a", [1], .compact)
    #expect(refusal(one, one)?.code == .malformed)
    #expect(refusal(tensor("b", [1], .compact), one)?.code == .malformed)
    #expect(refusal(tensor("", [1], .compact))?.code == .malformed)
    #expect(refusal(tensor("a\0b", [1], .compact))?.code == .malformed)
  }

  @Test("no two tensors share bytes")
  func overlaps() throws {
    let first = tensor("a", [100], .contiguous(offset: 0))
    _ = try check([first, tensor("b", [10], .contiguous(offset: 400))])
    let error = refusal(first, tensor("b", [10], .contiguous(offset: 399)))
    #expect(error?.tensor == "b")
    #expect(error?.message.contains("'a'") == true)
    #expect(refusal(first, tensor("b", [8], chunked([4], [], [(0, 390, 16)])))?.tensor == "b")
    let twice = chunked([4], [.shuffle], [(0, 500, 16), (1, 510, 16)])
    #expect(refusal(tensor("a", [8], twice))?.code == .malformed)
  }

  @Test("chunks are inside the file and the grid, unique and of the right size")
  func chunks() throws {
    _ = try check([tensor("a", [8, 9], chunked([4, 4], [], [(5, 0, 64)]))])
    for storage in [
      chunked([4, 4], [], [(6, 0, 64)]), chunked([4, 4], [], [(0, 0, 63)]),
      chunked([4, 4], [], [(0, 937, 64)]), chunked([4, 4], [.shuffle], [(0, .max, 64)]),
      chunked([4, 4], [.deflate(level: 1)], [(0, 0, 0)]),
      chunked([4, 4], [], [(1, 0, 64), (1, 64, 64)]),
      chunked([4, 4], [], [(1, 0, 64), (0, 64, 64)]), chunked([4], [], []),
      chunked([4, 0], [], []), chunked([1 << 20, 1 << 20], [], []),
    ] {
      #expect(refusal(tensor("a", [8, 9], storage))?.tensor == "a")
    }
    #expect(refusal(tensor("a", [], chunked([], [], [])))?.tensor == "a")
    #expect(refusal(tensor("a", [0, 4], chunked([4, 4], [], [(0, 0, 64)])))?.tensor == "a")
  }

  @Test("tensors with more than a gigabyte that is not stored are skipped")
  func inventions() throws {
    let table = try check([
      tensor("a", [1 << 20], .unallocated), tensor("b", [1 << 40], .unallocated),
      tensor("c", [1 << 40], chunked([4], [.shuffle], [(0, 0, 9)])),
      tensor("d", [1 << 27], .unallocated), tensor("e", [1 << 27], .unallocated),
    ])
    #expect(table.tensors.map(\.name) == ["a", "d"])
    #expect(table.skipped.map(\.name) == ["b", "c", "e"])
  }
}
