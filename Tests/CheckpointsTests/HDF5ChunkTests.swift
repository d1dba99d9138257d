import Checkpoints
import SystemSupport
import TensorCore
import Testing
import TestSupport

/// Writing to chunked tensors.
@Suite struct HDF5ChunkTests {
  private func chunks(_ name: TensorName, _ file: HDF5Checkpoint) throws -> StoredTensor.Chunks {
    guard case .chunked(let chunks) = file[name]?.storage else {
      throw DiffError(.mismatch, "not chunked", tensor: name)
    }
    return chunks
  }

  private func stored(_ chunk: StoredTensor.Chunk, _ path: String) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: Int(chunk.size))
    var span = bytes.mutableSpan
    try File(path).read(at: chunk.offset, into: &span)
    return bytes
  }

  @Test(
    "only changed chunks are packed again",
    arguments: ["strips", "cube", "four", "line", "checked", "plain", "whole rows"])
  func unchangedChunksStay(name: TensorName) throws {
    try Scratch.with { scratch in
      let source = try HDF5Checkpoint(TestFiles.chunks)
      let tensor = try #require(source[name])
      let width = tensor.type.width
      var bytes = try source.bytes(of: tensor)
      let element = bytes.count / width / 3
      bytes[element * width] ^= 1
      let path = scratch("out.h5")
      let output = try source.makeOutput(at: path, rewriting: [], overwriting: false)
      // As in apply: the block around the change, which is mostly unchanged.
      let block = max(0, element - 5000) * width..<min(bytes.count, (element + 5000) * width)
      try output.write(
        bytes.span.extracting(block), to: tensor, at: UInt64(block.lowerBound))
      try output.finish(tensor, upTo: tensor.byteCount)
      try output.commit()

      let result = try HDF5Checkpoint(path)
      #expect(try result.bytes(of: #require(result[name])) == bytes)
      let (old, new) = (try chunks(name, source), try chunks(name, result))
      #expect(old.chunks.map(\.index) == new.chunks.map(\.index))
      var different = 0
      for (one, other) in zip(old.chunks, new.chunks)
      where try stored(one, TestFiles.chunks) != stored(other, path) {
        different += 1
      }
      #expect(different == 1)
      for other in source.tensors where other.name != name && other.shape.count < 100_000 {
        #expect(
          try result.bytes(of: #require(result[other.name])) == source.bytes(of: other))
      }
    }
  }

  @Test("tensors in one large chunk are changed in turns, and read before they are written")
  func largeChunks() throws {
    let seed = TestSeed.value
    var random = SplitMix64(seed: seed)
    let names: [TensorName] = ["deflate", "all big-endian", "cut"]
    try Scratch.with { scratch in
      let path = TestFiles.path("Resources/large-chunks.h5")
      let source = try HDF5Checkpoint(path)
      var expected = try names.map { try source.bytes(of: #require(source[$0])) }
      let output = try source.makeOutput(
        at: scratch("out.h5"), rewriting: [], overwriting: false)
      for round in 0..<4 {
        for (number, name) in names.enumerated() where round != 2 || number == 0 {
          let tensor = try #require(source[name])
          let count = 4096 * (round + 1)
          let start = round * expected[number].count / 4
          var old = [UInt8](repeating: 0, count: count)
          var span = old.mutableSpan
          #expect(try output.readUnwritten(tensor, at: UInt64(start), into: &span))
          #expect(old.elementsEqual(expected[number][start..<start + count]))
          let new = random.bytes(count)
          try output.write(new.span, to: tensor, at: UInt64(start))
          expected[number].replaceSubrange(start..<start + count, with: new)
        }
      }
      try output.commit()
      let result = try HDF5Checkpoint(scratch("out.h5"))
      for (number, name) in names.enumerated() {
        let bytes = try result.bytes(of: #require(result[name]))
        #expect(bytes == expected[number], "\(name), seed \(seed)")
      }
      #expect(
        try result.bytes(of: #require(result["small"]))
          == source.bytes(of: #require(source["small"])))
    }
  }

  @Test("a chunk that was packed can be changed again")
  func twice() throws {
    try Scratch.with { scratch in
      let source = try HDF5Checkpoint(TestFiles.chunks)
      let path = scratch("out.h5")
      let output = try source.makeOutput(at: path, rewriting: [], overwriting: false)
      var expected: [TensorName: [UInt8]] = [:]
      for round in 0..<3 {
        for name in ["line", "gaps", "plain", "four", "edges", "masked", "nothing"] as [TensorName]
        {
          let tensor = try #require(source[name])
          var bytes = try expected[name] ?? source.bytes(of: tensor)
          let start = round * 8 * tensor.type.width
          for index in start..<min(bytes.count, start + 40) { bytes[index] = UInt8(round + 1) }
          let end = min(bytes.count, start + 40)
          try output.write(
            bytes.span.extracting(start..<end), to: tensor, at: UInt64(start))
          if round == 1 { try output.finish(tensor, upTo: tensor.byteCount) }
          expected[name] = bytes
        }
      }
      try output.commit()
      let result = try HDF5Checkpoint(path)
      for (name, bytes) in expected {
        #expect(try result.bytes(of: #require(result[name])) == bytes, "\(name)")
      }
    }
  }

  @Test("any ranges in any order", arguments: ["cube", "four", "gaps", "columns", "tiny"])
  func ranges(name: TensorName) throws {
    let seed = TestSeed.value
    var random = SplitMix64(seed: seed)
    try Scratch.with { scratch in
      let source = try HDF5Checkpoint(TestFiles.chunks)
      let tensor = try #require(source[name])
      let width = tensor.type.width
      var bytes = try source.bytes(of: tensor)
      let output = try source.makeOutput(at: scratch("o"), rewriting: [], overwriting: false)
      for _ in 0..<20 {
        let start = Int(random.next() % tensor.shape.count) * width
        let count = min(bytes.count - start, Int(random.next() % 40) * width)
        for index in start..<start + count {
          bytes[index] = UInt8(truncatingIfNeeded: random.next())
        }
        try output.write(
          bytes.span.extracting(start..<start + count), to: tensor, at: UInt64(start))
        if random.next() % 5 == 0 { try output.finish(tensor, upTo: UInt64(start)) }
      }
      try output.commit()
      let result = try HDF5Checkpoint(scratch("o"))
      #expect(try result.bytes(of: #require(result[name])) == bytes, "seed \(seed)")
    }
  }

  /// Changes a tensor in place; returns its new bytes. With it, the locks on the file end.
  private func change(
    _ name: TensorName, of path: String, _ random: inout SplitMix64
  ) throws -> [UInt8] {
    let source = try HDF5Checkpoint(path)
    let tensor = try #require(source[name])
    #expect(tensor.isChangeableInPlace)
    let width = tensor.type.width
    var bytes = try source.bytes(of: tensor)
    let output = try source.makeInPlaceOutput()
    // Separate ranges, each recorded with the stored elements.
    var start = 0
    while start < bytes.count / width {
      let end = min(bytes.count / width, start + 1 + Int(random.next() % 60))
      for index in start * width..<end * width {
        bytes[index] = UInt8(truncatingIfNeeded: random.next())
      }
      try output.patch(
        bytes.span.extracting(start * width..<end * width), of: tensor, at: UInt64(start * width),
        in: source)
      start = end + Int(random.next() % 30)
    }
    let before = try contents(ofFile: path)
    #expect(try before == contents(ofFile: TestFiles.chunks))
    try output.commit()
    return bytes
  }

  @Test("unfiltered chunks change in place", arguments: ["plain", "plain big-endian"])
  func inPlace(name: TensorName) throws {
    let seed = TestSeed.value
    var random = SplitMix64(seed: seed)
    try Scratch.with { scratch in
      let path = scratch("file.h5")
      try write(contents(ofFile: TestFiles.chunks), toFile: path)
      let bytes = try change(name, of: path, &random)
      let result = try HDF5Checkpoint(path)
      let (old, new) = (try HDF5Checkpoint(TestFiles.chunks), try chunks(name, result))
      #expect(try new == chunks(name, old))
      for other in old.tensors where other.shape.count < 100_000 {
        let right = other.name == name ? bytes : try old.bytes(of: other)
        #expect(try result.bytes(of: #require(result[other.name])) == right, "seed \(seed)")
      }
    }
  }

  @Test("one write in place covers several row ranges of chunks")
  func inPlaceAcrossStrips() throws {
    try Scratch.with { scratch in
      let path = scratch("large.h5")
      let source = try HDF5Checkpoint(TestFiles.chunks)
      let name: TensorName = "plain big-endian"
      let shape = try #require(Shape([2100, 512]))  // 8.6 MB; a row range has 8.4
      let output = try source.makeOutput(
        at: path, rewriting: [], changing: [.reshape(name, shape)], overwriting: false)
      let large = try output.reshape(#require(source[name]), to: shape)
      let old = (0..<Int(large.byteCount)).map { UInt8(truncatingIfNeeded: $0 / 8 * 7) }
      try output.write(old.span, to: large, at: 0)
      try output.commit()

      let new = old.map { ~$0 }
      let from = 8 * 300
      func patch() throws {
        let checkpoint = try HDF5Checkpoint(path)
        let tensor = try #require(checkpoint[name])
        #expect(tensor.isChangeableInPlace)
        let output = try checkpoint.makeInPlaceOutput()
        try output.patch(
          new.span.extracting(from...), of: tensor, at: UInt64(from), in: checkpoint)
        try output.commit()
      }
      try patch()
      let result = try HDF5Checkpoint(path)
      let bytes = try result.bytes(of: #require(result[name]))
      #expect(bytes[..<from] == old[..<from] && bytes[from...] == new[from...])
    }
  }

  @Test(
    "chunks that are packed or missing do not change in place",
    arguments: ["line", "gaps big-endian"])
  func notInPlace(name: TensorName) throws {
    try Scratch.with { scratch in
      let path = scratch("file.h5")
      try write(contents(ofFile: TestFiles.chunks), toFile: path)
      let source = try HDF5Checkpoint(path)
      let tensor = try #require(source[name])
      #expect(!tensor.isChangeableInPlace)
      let output = try source.makeInPlaceOutput()
      let bytes = [UInt8](repeating: 1, count: tensor.type.width)
      let error = #expect(throws: DiffError.self) {
        try output.patch(bytes.span, of: tensor, at: 0, in: source)
      }
      #expect(error?.code == .unsupported)
    }
  }

  @Test("a damaged chunk is refused with its tensor and offset")
  func damaged() throws {
    try Scratch.with { scratch in
      for (text, code) in [("cube", DiffError.Code.malformed), ("checked", .checksum)] {
        let name = TensorName(text)
        var bytes = try contents(ofFile: TestFiles.chunks)
        let chunk = try chunks(name, HDF5Checkpoint(TestFiles.chunks)).chunks[1]
        bytes[Int(chunk.offset) + Int(chunk.size) / 2] ^= 0x10
        try write(bytes, toFile: scratch(text))
        let file = try HDF5Checkpoint(scratch(text))
        let error = #expect(throws: DiffError.self) { try file.bytes(of: #require(file[name])) }
        #expect(error?.code == code)
        #expect(error?.tensor == name)
        #expect(error?.offset == chunk.offset)
      }
    }
  }
}
