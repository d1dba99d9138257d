import Checkpoints
import Foundation
import SystemSupport
import TensorCore
import Testing
import TestSupport

@Suite struct HDF5OutputTests {
  @Test(
    "every tensor is patched, one is inserted, one deleted, the others stay",
    arguments: Oracle.names(in: "Resources"))
  func everyTensor(file: String) throws { try change(TestFiles.path(file)) }

  @Test(
    "real files are patched, one tensor is inserted, one deleted, the others stay",
    .enabled(if: TestFiles.haveShared, "needs ../shared/data"),
    arguments: Oracle.names(in: "keras"))
  func realFiles(file: String) throws { try change(TestFiles.path(file)) }

  /// Patches each tensor in turn with its own complement, inserts one, deletes one, and reads
  /// everything back.
  private func change(_ path: String) throws {
    try TestFiles.withFolder { folder in
      let source = try HDF5Checkpoint(path)
      let readable = source.tensors.filter { (try? source.bytes(of: $0)) != nil }
      let deleted = readable.last { $0.shape.count > 0 }
      var expected: [TensorName: [UInt8]] = [:]
      for tensor in readable where tensor != deleted {
        expected[tensor.name] = try source.bytes(of: tensor).map {
          tensor.type == .bool ? 1 - $0 : ~$0
        }
      }
      let copy = "\(folder)/copy.h5"
      let output = try source.makeOutput(
        at: copy, rewriting: Set(expected.keys), overwriting: false)
      for tensor in readable where tensor != deleted {
        guard let bytes = expected[tensor.name] else { continue }
        let middle = bytes.count / tensor.type.width / 2 * tensor.type.width
        try output.write(bytes.span.extracting(middle...), to: tensor, at: UInt64(middle))
        try output.write(bytes.span.extracting(..<middle), to: tensor, at: 0)
      }
      if let deleted { try output.delete(deleted) }
      let new = try output.insert("new group/head.weight:0", .bf16, #require(Shape([2, 3])))
      expected[new.name] = Array(1...12)
      try output.write([UInt8](1...12).span, to: new, at: 0)
      #expect(!FileManager.default.fileExists(atPath: copy))
      try output.commit()

      let result = try HDF5Checkpoint(copy)
      let names = source.tensors.filter { $0 != deleted }.map(\.name) + [new.name]
      #expect(result.tensors.map(\.name) == names.sorted())
      for (name, bytes) in expected {
        #expect(try result.bytes(of: #require(result[name])) == bytes, "\(name)")
      }
      #expect(result.skipped == source.skipped)
    }
  }

  @Test("tensors of every type and rank are inserted")
  func types() throws {
    try TestFiles.withFolder { folder in
      let source = try HDF5Checkpoint(TestFiles.base)
      let path = "\(folder)/types.h5"
      let output = try source.makeOutput(at: path, rewriting: [], overwriting: false)
      let shapes = [[], [5], [0, 2], [2, 3, 4]].compactMap(Shape.init)
      var expected = source.tensors.map(\.name)
      for type in ElementType.allCases where type.rawValue <= ElementType.f64.rawValue {
        for shape in shapes {
          let name: TensorName = "types/\(type.name)/\(shape.extents.count)"
          let tensor = try output.insert(name, type, shape)
          #expect((tensor.type, tensor.shape, tensor.isBigEndian) == (type, shape, false))
          expected.append(name)
        }
      }
      try output.commit()
      let result = try HDF5Checkpoint(path)
      #expect(result.tensors.map(\.name) == expected.sorted())
      for name in expected where name.parts[0] == "types" {
        let tensor = try #require(result[name])
        #expect(try result.bytes(of: tensor).allSatisfy { $0 == 0 })
      }
    }
  }

  @Test("names and types that HDF5 cannot hold are refused")
  func refused() throws {
    try TestFiles.withFolder { folder in
      let source = try HDF5Checkpoint(TestFiles.base)
      let output = try source.makeOutput(at: folder + "/x.h5", rewriting: [], overwriting: false)
      func code(_ name: TensorName, _ type: ElementType = .f32) -> DiffError.Code? {
        let error = #expect(throws: DiffError.self) { try output.insert(name, type, .scalar) }
        #expect(error?.tensor == name)
        return error?.code
      }
      for name in ["", "/a", "a/", "a//b", ".", "a/../b", "a\0b"] as [TensorName] {
        #expect(code(name) == .unsupported)
      }
      #expect(code("e", .f8e4m3) == .unsupported)
      #expect(code("model/big") == .mismatch)
      #expect(code("scalar/below") == .mismatch)
      #expect(code("soft/below") == .mismatch)
      #expect(code("model") == .mismatch)
    }
  }

  @Test("a deleted name can be inserted as another tensor")
  func deleted() throws {
    try TestFiles.withFolder { folder in
      let source = try HDF5Checkpoint(TestFiles.base)
      let path = folder + "/x.h5"
      let output = try source.makeOutput(at: path, rewriting: [], overwriting: false)
      try output.delete(#require(source["alias"]))
      let tensor = try output.insert("alias", .u8, Shape(vector: 10))
      try output.commit()
      let result = try HDF5Checkpoint(path)
      #expect(result["model/half"] == nil)
      #expect(try result.bytes(of: tensor) == Array(repeating: 0, count: 10))
    }
  }

  @Test("names that look alike and differ in bytes are two tensors")
  func twoSpellings() throws {
    try Scratch.with { scratch in
      let names: [TensorName] = ["a/\u{301}b/w", "cafe\u{301}/w", "caf\u{E9}/w"]
      let rows = names.map { ($0, ElementType.u8, Shape(vector: 2)) }
      let (made, tensors) = try CheckpointFile.make(at: scratch("base.h5"), .hdf5, rows)
      for (index, tensor) in tensors.enumerated() {
        try made.write([UInt8(index), 9].span, to: tensor, at: 0)
      }
      try made.commit()
      let base = try HDF5Checkpoint(scratch("base.h5"))
      #expect(base.tensors.map(\.name) == names)
      for (index, tensor) in base.tensors.enumerated() {
        #expect(try base.bytes(of: tensor) == [UInt8(index), 9])
      }
      // Only the named tensors are omitted from the copy or deleted.
      let output = try base.makeOutput(
        at: scratch("out.h5"), rewriting: ["caf\u{E9}/w"], overwriting: false)
      try output.write([7, 7].span, to: #require(base["caf\u{E9}/w"]), at: 0)
      try output.delete(#require(base["a/\u{301}b/w"]))
      _ = try output.reshape(#require(base["cafe\u{301}/w"]), to: Shape(vector: 1))
      try output.commit()
      let result = try HDF5Checkpoint(scratch("out.h5"))
      #expect(result.tensors.map(\.name) == Array(names.dropFirst()))
      #expect(try result.bytes(of: #require(result["caf\u{E9}/w"])) == [7, 7])
      #expect(result["cafe\u{301}/w"]?.shape == Shape(vector: 1))
    }
  }

  /// Waits until the time stamp that HDF5 would write has changed.
  private static func waitForNextSecond() {
    let second = time(nil)
    while time(nil) == second { sched_yield() }
  }

  @Test("equal changes give equal bytes at any time")
  func equalBytes() throws {
    try TestFiles.withFolder { folder in
      let paths = ["\(folder)/1.h5", "\(folder)/2.h5"]
      for path in paths {
        let source = try HDF5Checkpoint(TestFiles.base)
        let output = try source.makeOutput(at: path, rewriting: [], overwriting: false)
        try output.delete(#require(source["alias"]))
        _ = try output.insert("a/b/c", .f16, Shape(vector: 9))
        let packed = try #require(source["model/packed"])
        try output.write([UInt8](repeating: 3, count: 100).span, to: packed, at: 70)
        try output.commit()
        Self.waitForNextSecond()
      }
      #expect(FileManager.default.contentsEqual(atPath: paths[0], andPath: paths[1]))
    }
  }

  @Test("without changes the copy is equal, permissions too")
  func copy() throws {
    try TestFiles.withFolder { folder in
      let path = folder + "/x.h5"
      let base = folder + "/base.h5"
      try FileManager.default.copyItem(atPath: TestFiles.base, toPath: base)
      try FileManager.default.setAttributes([.posixPermissions: 0o440], ofItemAtPath: base)
      let source = try HDF5Checkpoint(base)
      try source.makeOutput(at: path, rewriting: [], overwriting: false).commit()
      #expect(FileManager.default.contentsEqual(atPath: path, andPath: base))
      #expect(try File(path).status().st_mode & 0o777 == 0o440)
      let error = #expect(throws: DiffError.self) {
        try source.makeOutput(at: path, rewriting: [], overwriting: false)
      }
      #expect(error?.code == .exists)
      try source.makeOutput(at: path, rewriting: [], overwriting: true).commit()
    }
  }

  @Test("nothing appears without a commit")
  func abandoned() throws {
    try TestFiles.withFolder { folder in
      do {
        let source = try HDF5Checkpoint(TestFiles.base)
        let output = try source.makeOutput(at: folder + "/x", rewriting: [], overwriting: false)
        _ = try output.insert("a", .f32, .scalar)
      }
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
    }
  }

  /// The names of the empty groups of a file.
  private func emptyGroups(_ path: String) throws -> [TensorName] {
    try CheckpointFile.open(path).otherContents().filter { $0.kind == "an empty group" }.map(\.name)
  }

  @Test("groups that a deletion leaves empty are removed, except those with attributes")
  func emptiedGroups() throws {
    try TestFiles.withFolder { folder in
      let source = try HDF5Checkpoint(TestFiles.base)
      let output = try source.makeOutput(at: folder + "/a.h5", rewriting: [], overwriting: false)
      for name in ["new/b/c/d", "new/b/e"] as [TensorName] {
        _ = try output.insert(name, .f32, Shape(vector: 1))
      }
      try output.commit()
      let added = try HDF5Checkpoint(folder + "/a.h5")
      let removal = try added.makeOutput(at: folder + "/b.h5", rewriting: [], overwriting: false)
      try removal.delete(try #require(added["new/b/c/d"]))
      try removal.commit()
      let middle = try HDF5Checkpoint(folder + "/b.h5")
      #expect(middle["new/b/e"] != nil)
      #expect(try emptyGroups(folder + "/b.h5") == emptyGroups(TestFiles.base))
      let end = try middle.makeOutput(at: folder + "/c.h5", rewriting: [], overwriting: false)
      try end.delete(try #require(middle["new/b/e"]))
      try end.commit()
      #expect(
        try HDF5Checkpoint(folder + "/c.h5").otherContents()
          == HDF5Checkpoint(TestFiles.base).otherContents())
      // Keras' groups have attributes, and stay.
      let keras = try HDF5Checkpoint(TestFiles.path("Resources/keras-base.h5"))
      let rest = try keras.makeOutput(at: folder + "/k.h5", rewriting: [], overwriting: false)
      for tensor in keras.tensors where tensor.name.description.hasPrefix("output/") {
        try rest.delete(tensor)
      }
      try rest.commit()
      let kept = try HDF5Checkpoint(folder + "/k.h5").otherContents()
      #expect(kept.contains { $0.name == "output" && $0.attribute == "weight_names" })
      #expect(!kept.contains { $0.name == "output/output" })
    }
  }

  @Test("adding tensors together gives the same file as one by one")
  func batches() throws {
    try TestFiles.withFolder { folder in
      let tensors = (0..<5000).map {
        (name: TensorName("layer \($0 / 10)/\($0)"), type: ElementType.c64, shape: Shape(vector: 2))
      }
      let (output, stored) = try CheckpointFile.make(at: folder + "/many.h5", .hdf5, tensors)
      let bytes = [UInt8](1...16)
      for tensor in stored { try output.write(bytes.span, to: tensor, at: 0) }
      try output.commit()
      let many = try HDF5Checkpoint(folder + "/many.h5")
      #expect(many.tensors.map(\.name) == tensors.map(\.name).sorted())
      #expect(many.tensors.allSatisfy { $0.type == .c64 && $0.shape == Shape(vector: 2) })
      #expect(try many.bytes(of: many.tensors[4321]) == bytes)
      let error = #expect(throws: DiffError.self) {
        try CheckpointFile.make(
          at: folder + "/twice.h5", .hdf5, [tensors[0], tensors[1], tensors[0]])
      }
      #expect(error?.tensor == tensors[0].name)
    }
  }

  @Test("complex numbers keep their halves in either byte order")
  func complex() throws {
    let source = try HDF5Checkpoint(TestFiles.path("Resources/complex.h5"))
    #expect(source.tensors.map(\.isBigEndian) == [true, true, false, false])
    let expected = try source.bytes(of: source.tensors[2])
    for tensor in source.tensors {
      #expect(tensor.type == .c64)
      #expect(try source.bytes(of: tensor) == expected)
    }
    try TestFiles.withFolder { folder in
      let output = try source.makeOutput(at: folder + "/c.h5", rewriting: [], overwriting: false)
      let other = Array(expected.reversed())
      for tensor in source.tensors { try output.write(other.span, to: tensor, at: 0) }
      try output.commit()
      let written = try HDF5Checkpoint(folder + "/c.h5")
      for tensor in written.tensors { #expect(try written.bytes(of: tensor) == other) }
    }
  }
}
