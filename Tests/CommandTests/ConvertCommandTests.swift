import Checkpoints
import DiffOperations
import TensorCore
import Testing
import TestSupport

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

@Suite struct ConvertCommandTests {
  @Test("HDF5 to safetensors and back, values bit for bit; a diff made on one applies to the other")
  func twins() throws {
    try Fixture.with { files in
      for name in ["base", "tuned"] {
        let answer = try Diffkit.run("convert", files(name + ".h5"), files(name + ".safetensors"))
        expectSuccess(answer, name + ".safetensors: safetensors, 10 tensors", "left out: soft")
        expectSuccess(
          try Diffkit.run("convert", files(name + ".safetensors"), files(name + ".again.h5")))
      }
      let (hdf5, twin) = (
        try CheckpointFile.open(files("base.h5")),
        try CheckpointFile.open(files("base.safetensors"))
      )
      #expect(
        twin.tensors.map(\.name)
          == hdf5.tensors.map { $0.name.key.spelled(with: UInt8(ascii: ".")) }.sorted())
      for (one, other) in [
        ("base.safetensors", "tuned.safetensors"), ("tuned.safetensors", "base.safetensors"),
        ("base.again.h5", "tuned.h5"), ("tuned.again.h5", "base.h5"),
      ] {
        let command = one.hasPrefix("base") ? "apply" : "revert"
        expectSuccess(
          try Diffkit.run(
            command, files(one), files("exact.diff"), "-o", files("made"), "--force"),
          "2 tensors changed")
        let made = try CheckpointFile.open(files("made"))
        let right = try CheckpointFile.open(files(other))
        #expect(try prints(made) == prints(right))
      }
      // And in the other direction: a diff of the twins, applied to HDF5.
      expectSuccess(
        try Diffkit.run(
          "create", files("base.safetensors"), files("tuned.safetensors"), "-o", files("s.diff")))
      expectSuccess(
        try Diffkit.run("apply", files("base.h5"), files("s.diff"), "-o", files("x.h5")))
      #expect(try files.sameTensors("x.h5", "tuned.h5"))
    }
  }

  /// Returns fingerprints by name, with '/' as '.'.
  private func prints(_ checkpoint: any Checkpoint) throws -> [TensorName.Key: Fingerprint] {
    var prints: [TensorName.Key: Fingerprint] = [:]
    for tensor in checkpoint.tensors {
      prints[tensor.name.key] = try checkpoint.fingerprint(of: tensor)
    }
    return prints
  }

  @Test("the metadata of a safetensors file is kept in both directions")
  func metadata() throws {
    try Scratch.with { scratch in
      let types = Repository.path + "/Tests/CheckpointsTests/Resources/types.safetensors"
      expectSuccess(try Diffkit.run("convert", types, scratch("same.safetensors")))
      let same = try CheckpointFile.open(scratch("same.safetensors"))
      #expect(same.metadata == ["who": "diffkit", "quote": "\"\\é\n"])
      #expect(try prints(same) == prints(CheckpointFile.open(types)))
    }
  }

  @Test("text attributes of an HDF5 file become metadata, and attributes again")
  func attributes() throws {
    try Scratch.with { scratch in
      let texts = ["backend": "tensorflow", "keras_version": "2.1.5"]
      let sample = Repository.path + "/samples/textgenrnn_weights.hdf5"
      expectSuccess(try Diffkit.run("convert", sample, scratch("one.safetensors")))
      let one = try SafeTensorsCheckpoint(scratch("one.safetensors"))
      #expect(one.metadata == texts.merging(["format": "pt"]) { old, _ in old })
      expectSuccess(try Diffkit.run("convert", scratch("one.safetensors"), scratch("two.h5")))
      #expect(try CheckpointFile.open(scratch("two.h5")).metadata == one.metadata)
    }
  }

  /// What the safetensors package read in files that diffkit wrote, from `written.py`.
  private struct Written: Decodable {
    let file: String
    let metadata: [String: String]
    let tensors: [String: Row]

    struct Row: Decodable {
      let dtype, hash: String
      let shape: [UInt64]

      init(from decoder: any Decoder) throws {
        var values = try decoder.unkeyedContainer()
        dtype = try values.decode(String.self)
        shape = try values.decode([UInt64].self)
        hash = try values.decode(String.self)
      }
    }
  }

  @Test(
    "what the safetensors package reads in a file that diffkit wrote",
    arguments: [
      ("textgenrnn", "/samples/textgenrnn_weights.hdf5"),
      ("kinds", "/Tests/CheckpointsTests/Resources/base.h5"),
    ])
  func written(name: String, source: String) throws {
    let json = try contents(ofFile: Repository.path + "/Tests/CommandTests/written.json")
    let right = try #require(
      try JSONDecoder().decode([String: Written].self, from: Data(json))[name])
    try Scratch.with { scratch in
      let path = scratch("x.safetensors")
      expectSuccess(try Diffkit.run("convert", Repository.path + source, path))
      let bytes = try contents(ofFile: path)
      #expect(XXH3.hash128(bytes.span).description == right.file)
      let made = try SafeTensorsCheckpoint(path)
      #expect(made.metadata == right.metadata)
      #expect(made.tensors.map(\.name.description) == right.tensors.keys.sorted())
      for tensor in made.tensors {
        let row = try #require(right.tensors[tensor.name.description])
        #expect(tensor.shape.extents == row.shape)
        #expect("\(tensor.type)".uppercased() == row.dtype)
        let elements = try made.bytes(of: tensor)
        #expect(XXH3.hash128(elements.span).description == row.hash)
      }
    }
  }

  @Test("several files become one, with the metadata of the files and their index")
  func folder() throws {
    try Scratch.with { scratch in
      try makeFolder(scratch("m"))
      var map: [String] = []
      for (part, names) in [("1.safetensors", ["a.x", "b"]), ("2.safetensors", ["a.y"])]
        as [(String, [TensorName])]
      {
        let rows = names.map { ($0, ElementType.f16, Shape(vector: 3)) }
        let (output, tensors) = try CheckpointFile.make(
          at: scratch("m/" + part), .safetensors, rows, metadata: ["format": "pt", "part": part])
        for tensor in tensors {
          try output.write(
            Array("\(tensor.name)123456".utf8.prefix(6)).span, to: tensor, at: 0)
        }
        try output.commit()
        map += names.map { #""\#($0)":"\#(part)""# }
      }
      let stated = #""metadata":{"total_size":18,"by":"a test","part":"all"}"#
      try write(
        Array(#"{\#(stated),"weight_map":{\#(map.joined(separator: ","))}}"#.utf8),
        toFile: scratch("m/model.safetensors.index.json"))
      expectSuccess(
        try Diffkit.run("convert", scratch("m"), scratch("one.h5")), "hdf5, 3 tensors, 18 B")
      let one = try CheckpointFile.open(scratch("one.h5"))
      #expect(one.tensors.map(\.name) == ["a/x", "a/y", "b"])
      #expect(try prints(one) == prints(CheckpointFile.open(scratch("m"))))
      let metadata = ["format": "pt", "part": "1.safetensors", "by": "a test"]
      #expect(one.metadata == metadata)
      expectSuccess(try Diffkit.run("convert", scratch("m"), scratch("one.safetensors")))
      #expect(try CheckpointFile.open(scratch("one.safetensors")).metadata == metadata)
    }
  }

  @Test("impossible conversions and outputs are refused, and nothing is written")
  func refused() throws {
    try Fixture.with { files in
      expectTrouble(
        try Diffkit.run("convert", files("base.h5"), files("x.bin")), "x.bin", "--format")
      expectTrouble(
        try Diffkit.run("convert", files("base.h5"), files("tuned.h5")), "tuned.h5", "--force")
      expectTrouble(
        try Diffkit.run("convert", files("base.h5"), files("base.h5"), "--force"), "is an input")
      let (output, tensors) = try CheckpointFile.make(
        at: files("two.safetensors"), .safetensors,
        [("a.b", .u8, .scalar), ("a/b", .u8, .scalar), ("__x", .u8, .scalar)])
      for tensor in tensors { try output.write([1].span, to: tensor, at: 0) }
      try output.commit()
      expectTrouble(
        try Diffkit.run("convert", files("two.safetensors"), files("no.h5")), "two.safetensors",
        "would both be 'a/b'")
      #expect(!files.folder.exists("no.h5"))
      expectSuccess(
        try Diffkit.run("convert", files("base.h5"), files("x.bin"), "--format", "safetensors"))
    }
  }

  @Test("--type rounds once, to nearest even, and counts what becomes infinite")
  func types() throws {
    try Fixture.with { files in
      var random = SplitMix64(seed: 44)
      for from in FloatType.allCases {
        let elements = FloatOracle.patterns(from, 5000, &random)
        let whole = MemoryTensor("ids", .i64, [1, 2, 3, 4, 5, 6, 7, 8])
        let name = "\(from)"
        try files.make(
          name, [whole, MemoryTensor("w", from.elementType, FloatOracle.bytes(elements, from))])
        for to in [FloatType.f16, .bf16, .f32] where to != from {
          let out = "\(from)-\(to).safetensors"
          let answer = try Diffkit.run("convert", files(name), files(out), "--type", "\(to)")
          expectSuccess(answer, "1 tensor changed type")
          let made = try CheckpointFile.open(files(out))
          let w = try #require(made.tensors.first { $0.name == "w" })
          #expect(w.type == to.elementType)
          #expect(made.tensors.first { $0.name == "ids" }?.type == .i64)
          let bytes = try made.bytes(of: w)
          var infinite = 0
          for (old, new) in zip(elements, FloatOracle.elements(bytes, to)) {
            let number = FloatOracle.widened(old, from)
            let expected = FloatOracle.narrowed(number, to)
            #expect(number.isNaN ? FloatOracle.isNaN(new, to) : new == expected, "\(number)")
            if number.isFinite, FloatOracle.widened(expected, to).isInfinite { infinite += 1 }
          }
          #expect(answer.output.contains("\(infinite) element") || infinite == 0 || infinite > 999)
        }
      }
      try files.make("f", [MemoryTensor("w", .f32, littleEndian([1] as [Float]))])
      try files.make("h", [MemoryTensor("w", .bf16, [0, 0])])
      expectTrouble(
        try Diffkit.run("create", files("h"), files("f"), "-o", files("no.diff")),
        "a diff cannot change a type", "diffkit convert '\(files("f"))' OUTPUT --type bf16")
    }
  }

  @Test("a name that the other format cannot hold is refused as it stands in the source")
  func names() throws {
    try Fixture.with { files in
      let bytes = littleEndian([1, 2] as [Float])
      for (names, words) in [
        ([".c"], "tensor '.c': would be '/c': not a valid name in HDF5"),
        (["d."], "tensor 'd.': would be 'd/': not a valid name in HDF5"),
        (["a", "a.b"], "tensor 'a.b': would be 'a/b': 'a' exists and is not a group"),
      ] {
        let name = names.joined(separator: "+") + ".safetensors"
        try files.make(name, names.map { MemoryTensor(TensorName($0), .f32, bytes) })
        expectTrouble(try Diffkit.run("convert", files(name), files("no.h5")), files(name), words)
      }
      #expect(!files.folder.exists("no.h5"))
    }
  }
}
