import Checkpoints
import HDF5Access
import SystemSupport
import TensorCore
import Testing
import TestSupport

@Suite struct HDF5ReadingTests {
  @Test("tensors are what h5py reads", arguments: Oracle.names(in: "Resources"))
  func helper(file: String) throws { try compare(file, .helper) }

  @Test(
    "tensors are what h5py reads, with libhdf5 in this process",
    arguments: Oracle.names(in: "Resources"))
  func inProcess(file: String) throws { try compare(file, .inProcess) }

  @Test(
    "tensors of real files are what h5py reads",
    .enabled(if: TestFiles.haveShared, "needs ../shared/data"),
    arguments: Oracle.names(in: "keras") + Oracle.names(in: "hdf5-features"))
  func realFiles(file: String) throws { try compare(file, .helper) }

  private func compare(_ file: String, _ host: HDF5Host) throws {
    let expected = try #require(Oracle.files[file])
    let checkpoint = try HDF5Checkpoint(TestFiles.path(file), hdf5: host)
    #expect(checkpoint.tensors.map(\.name) == expected.keys.map { TensorName($0) }.sorted())
    for tensor in checkpoint.tensors {
      let row = try #require(expected[tensor.name.description])
      #expect(tensor.type.name == row.type)
      #expect(tensor.shape.extents == row.shape)
      #expect(tensor.aliases.map(\.description) == row.aliases)
      if let hash = row.hash {
        #expect(try self.hash(checkpoint.bytes(of: tensor)) == hash)
        guard tensor.shape.count < 100_000 else { continue }
        #expect(try self.hash(checkpoint.bytes(of: tensor, blockSize: 997)) == hash)
      } else {
        let error = #expect(throws: DiffError.self) { try checkpoint.bytes(of: tensor) }
        #expect(error?.code == .unsupportedCheckpoint)
        #expect(error?.tensor == tensor.name)
      }
    }
  }

  private func hash(_ bytes: [UInt8]) -> String { XXH3.hash128(bytes.span).description }

  @Test("several threads read at a time", arguments: [TestFiles.base, TestFiles.chunks])
  func threads(path: String) throws {
    let checkpoint = try HDF5Checkpoint(path)
    let expected = try checkpoint.tensors.map { try checkpoint.bytes(of: $0) }
    try parallelFor(60) { (index) throws(DiffError) in
      let place = index % expected.count
      let tensor = checkpoint.tensors[place]
      let blockSize = tensor.shape.count > 10_000 ? 300_000 : 3
      let bytes = try checkpoint.bytes(of: tensor, blockSize: blockSize)
      #expect(bytes == expected[place])
    }
  }

  @Test("tensors of Keras 3 are labelled with the names of their layers")
  func labels() throws {
    let checkpoint = try HDF5Checkpoint(TestFiles.path("Resources/keras-weights.h5"))
    #expect(checkpoint["layers/dense/vars/0"]?.label == "output")
    #expect(checkpoint["layers/embedding/vars/0"]?.label == "embedding")
    #expect(try HDF5Checkpoint(TestFiles.base).tensors.allSatisfy { $0.label == nil })
  }

  @Test("objects that are not tensors are listed")
  func skipped() throws {
    let skipped = try HDF5Checkpoint(TestFiles.base).skipped
    #expect(
      skipped.map(\.name)
        == ["external", "null", "outside", "soft", "text", "virtual", "\u{FFFD}"])
  }

  @Test("the layout of every tensor is known")
  func layout() throws {
    let checkpoint = try HDF5Checkpoint(TestFiles.base)
    #expect(checkpoint["compact"]?.storage == .compact)
    #expect(checkpoint["unallocated"]?.storage == .unallocated)
    #expect(checkpoint["empty"]?.storage == .unallocated)
    #expect(checkpoint["model/big"]?.isBigEndian == true)
    guard case .chunked(let chunks) = checkpoint["model/packed"]?.storage else {
      Issue.record("not chunked")
      return
    }
    #expect(chunks.shape.extents == [4, 32])
    #expect(chunks.filters == [.shuffle, .deflate(level: 4), .fletcher32])
    #expect(chunks.chunks.map(\.index) == Array(0..<9))
  }

  @Test("addresses of chunks are relative to the user block")
  func userBlock() throws {
    let path = TestFiles.path("Resources/user-block.h5")
    let checkpoint = try HDF5Checkpoint(path)
    let tensor = try #require(checkpoint["chunked"])
    guard case .chunked(let chunks) = tensor.storage else {
      Issue.record("not chunked")
      return
    }
    #expect(chunks.chunks.count == 3)
    let file = try File(path)
    var stored: [UInt8] = []
    for chunk in chunks.chunks {
      var bytes = [UInt8](repeating: 0, count: Int(chunk.size))
      var span = bytes.mutableSpan
      try file.read(at: chunk.offset, into: &span)
      stored += bytes
    }
    #expect(try stored == checkpoint.bytes(of: tensor))
  }

  @Test("files that are not HDF5 are refused")
  func otherFiles() throws {
    #expect(code(of: "/dev/null") == .io)
    #expect(code(of: "/nowhere/model.h5") == .notFound)
    #expect(code(of: #filePath) == .notACheckpoint)
  }

  @Test("truncated files are refused")
  func truncated() throws {
    try TestFiles.withFolder { folder in
      let whole = try File(TestFiles.base)
      for size in stride(from: 0, to: try whole.size, by: 512) {
        let path = "\(folder)/\(size).h5"
        try whole.copy(0..<size, to: File(creating: path))
        #expect(code(of: path) == .notACheckpoint)
      }
    }
  }

  private func code(of path: String) -> DiffError.Code? {
    #expect(throws: DiffError.self) { try HDF5Checkpoint(path) }?.code
  }

  private func refusal(_ bytes: [UInt8]) throws -> DiffError? {
    try Scratch.with { scratch in
      try write(bytes, toFile: scratch("f.h5"))
      return #expect(throws: DiffError.self) { try HDF5Checkpoint(scratch("f.h5")) }
    }
  }

  @Test("contiguous and compact tensors whose storage has another size are refused")
  func storageSizes() throws {
    let path = TestFiles.path("Resources/indexes/btree1.h5")
    let file = try HDF5Checkpoint(path)
    let tensor = try #require(file["layer/w"])
    guard case .contiguous(let offset) = tensor.storage else {
      Issue.record("not contiguous")
      return
    }
    let bytes = try contents(ofFile: path)
    let layout = littleEndian([offset, tensor.byteCount])
    let size = try #require(bytes.firstRange(of: layout)).lowerBound + 8
    for stored in [0, tensor.byteCount - 1, tensor.byteCount + 1] {
      var other = bytes
      other.replaceSubrange(size..<size + 8, with: littleEndian([stored]))
      let error = try refusal(other)
      #expect(error?.code == .malformed && error?.tensor == "layer/w", "\(stored)")
    }
    // The first extent of its shape: what is left is less than what is stored.
    #expect(bytes[1432] == 3 && tensor.shape.extents[0] == 3)
    for extent in [0, 1, 2] as [UInt8] {
      var other = bytes
      other[1432] = extent
      let error = try refusal(other)
      #expect(error?.code == .malformed && error?.tensor == "layer/w", "\(extent)")
    }
  }

  @Test("a file that libhdf5 does not open is refused with the reason")
  func reasons() throws {
    let bytes = try contents(ofFile: TestFiles.base)
    let cut = bytes.count - 100
    let truncated = try refusal(Array(bytes[..<cut]))
    #expect(truncated?.message.contains("it has \(cut) of \(bytes.count) bytes") == true)
    var newer = bytes
    // The version of the superblock, which follows a user block.
    newer[512 + 8] = 9
    #expect(try refusal(newer)?.message.contains("written by a newer HDF5 than 1.") == true)
    let writing = try refusal(contents(ofFile: TestFiles.path("Resources/writing.h5")))
    #expect(writing?.message.contains("marked as open for writing") == true)
  }
}
