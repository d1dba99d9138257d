import Checkpoints
import StrictJSON
import TensorCore
import Testing
import TestSupport

@Suite struct SafeTensorsTests {
  private static let types = TestFiles.path("Resources/types.safetensors")

  /// A file with this header, its length first, and a number of bytes of data.
  private func file(_ header: String, data: Int, length: UInt64? = nil) -> [UInt8] {
    let length = length ?? UInt64(header.utf8.count)
    return (0..<8).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) } + Array(header.utf8)
      + (0..<data).map { UInt8(truncatingIfNeeded: $0) }
  }

  private func write(
    _ bytes: [UInt8], to tensor: StoredTensor, at offset: UInt64 = 0,
    of output: any CheckpointOutput
  ) throws { try output.write(bytes.span, to: tensor, at: offset) }

  private func refusal(_ bytes: [UInt8]) throws -> DiffError? {
    try Scratch.with { scratch in
      try TestSupport.write(bytes, toFile: scratch("f.safetensors"))
      return #expect(throws: DiffError.self) { try SafeTensorsCheckpoint(scratch("f.safetensors")) }
    }
  }

  @Test("a tensor of every type, written by the safetensors package")
  func everyType() throws {
    let file = try #require(try CheckpointFile.open(Self.types) as? SafeTensorsCheckpoint)
    #expect(file.metadata == ["who": "diffkit", "quote": "\"\\é\n"])
    let names = [
      "bfloat16", "bool", "complex64", "float16", "float32", "float64", "float8_e4m3fn",
      "float8_e5m2", "float8_e8m0fnu", "int16", "int32", "int64", "int8", "uint16", "uint32",
      "uint64", "uint8",
    ]
    let types: [ElementType] = [
      .bf16, .bool, .c64, .f16, .f32, .f64, .f8e4m3, .f8e5m2, .f8e8m0, .i16, .i32, .i64, .i8, .u16,
      .u32, .u64, .u8,
    ]
    #expect(file.tensors.map(\.name) == names.map { "t/\($0)" })
    #expect(file.tensors.map(\.type) == types)
    for (number, tensor) in file.tensors.enumerated() {
      #expect(tensor.shape.extents == [[2, 3], [5], [], [0, 4]][number % 4])
      let expected = (0..<Int(tensor.byteCount)).map {
        UInt8((7 * $0 + 13 * number) % 251) & (tensor.type == .bool ? 1 : 255)
      }
      #expect(try file.bytes(of: tensor) == expected)
    }
  }

  @Test(
    "headers that break a rule are refused, each with its rule",
    arguments: [
      (#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}"#, 5, "take 4 bytes, but 5"),
      (#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}"#, 3, "take 4 bytes, but 3"),
      (#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[1,5]}}"#, 5, "unused bytes before"),
      (
        #"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[3,7]}}"#,
        7, "shares bytes"
      ),
      (
        #"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[5,9]}}"#,
        9, "unused bytes before"
      ),
      (
        #"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"a":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}"#,
        8, "duplicate member 'a'"
      ),
      (#"{"a":{"dtype":"U8","shape":[5],"data_offsets":[0,4]}}"#, 4, "are not those of U8 [5]"),
      (#"{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,4]}}"#, 4, "are not those of F32"),
      (#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[4,0]}}"#, 4, "reversed: from 4 to 0"),
      (
        #"{"a":{"dtype":"U8","shape":[-4],"data_offsets":[0,4]}}"#, 4,
        "a negative number in 'shape': -4"
      ),
      (
        #"{"a":{"dtype":"U8","shape":[4.0],"data_offsets":[0,4]}}"#, 4,
        "a number that is fractional"
      ),
      (
        #"{"a":{"dtype":"U8","shape":[4294967296,4294967297],"data_offsets":[0,4294967296]}}"#, 4,
        "has an invalid shape"
      ),
      (#"{"a":{"dtype":"U9","shape":[4],"data_offsets":[0,4]}}"#, 4, "unknown dtype 'U9'"),
      (#"{"a":{"dtype":"F4","shape":[3],"data_offsets":[0,1]}}"#, 1, "are not those of F4"),
      (#"{"a":{"shape":[4],"data_offsets":[0,4]}}"#, 4, "needs 'dtype'"),
      (#"{"a":{"dtype":"U8","data_offsets":[0,4]}}"#, 4, "needs 'dtype'"),
      (#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4,4]}}"#, 4, "needs 'dtype'"),
      (
        #"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,18446744073709551616]}}"#, 4,
        "or too large in 'data_offsets': 18446744073709551616"
      ),
      (#"{"a":[]}"#, 0, "needs 'dtype'"),
      (#"{"__metadata__":{"a":1}}"#, 0, "not an object of strings"),
      (#"{"__metadata__":[]}"#, 0, "not an object of strings"), ("[]", 0, "not a JSON object"),
      (" {}", 0, "not a JSON object"), ("{} x", 0, "content after the JSON"),
      ("{", 0, "name of a member"),
    ])
  func invalid(header: String, data: Int, message: String) throws {
    let error = try refusal(file(header, data: data))
    #expect(error?.code == .malformed)
    #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
    #expect(error?.path?.hasSuffix("f.safetensors") == true)
  }

  @Test("impossible lengths are refused before anything is allocated")
  func lengths() throws {
    #expect(try refusal([1, 2, 3])?.code == .malformed)
    #expect(try refusal(file("{}", data: 0, length: 3))?.code == .truncated)
    #expect(try refusal(file("{}", data: 0, length: 100_000_001))?.code == .limit)
    #expect(try refusal(file("{}", data: 0, length: .max))?.code == .limit)
  }

  @Test("null metadata are treated as absent")
  func noMetadata() throws {
    try Scratch.with { scratch in
      let header =
        #"{"__metadata__":null,"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#
      try TestSupport.write(file(header, data: 1), toFile: scratch("f"))
      let checkpoint = try CheckpointFile.open(scratch("f"))
      #expect(checkpoint.tensors.map(\.name) == ["a"] && checkpoint.metadata.isEmpty)
    }
  }

  @Test("tensors narrower than a byte have their extents in elements, and their bytes in units")
  func packed() throws {
    try Scratch.with { scratch in
      let header =
        #"{"a":{"dtype":"F4","shape":[2,3],"data_offsets":[0,3]},"b":{"dtype":"F6_E2M3","shape":[8],"data_offsets":[3,9]},"c":{"dtype":"F6_E3M2","shape":[2,2],"data_offsets":[9,12]}}"#
      try TestSupport.write(file(header, data: 12), toFile: scratch("f"))
      let checkpoint = try CheckpointFile.open(scratch("f"))
      #expect(checkpoint.skipped.isEmpty)
      #expect(checkpoint.tensors.map(\.type) == [.f4, .f6e2m3, .f6e3m2])
      #expect(checkpoint.tensors.map(\.shape.extents) == [[2, 3], [8], [2, 2]])
      #expect(checkpoint.tensors.map(\.shape.count) == [3, 2, 1])
      #expect(checkpoint.tensors.map(\.byteCount) == [3, 6, 3])
    }
  }

  @Test("unsupported types are skipped by name; trailing spaces are allowed")
  func skipped() throws {
    try Scratch.with { scratch in
      let header =
        #"{"x":{"dtype":"F8_E4M3FNUZ","shape":[2],"data_offsets":[0,2]},"y":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}}   "#
      try TestSupport.write(file(header, data: 3), toFile: scratch("f"))
      let checkpoint = try CheckpointFile.open(scratch("f"))
      #expect(checkpoint.tensors.map(\.name) == ["y"])
      #expect(checkpoint.skipped.map(\.name) == ["x"])
      #expect(checkpoint.skipped.map(\.reason) == ["elements of type F8_E4M3FNUZ"])
    }
  }

  @Test("every truncation and every flipped bit is read or refused")
  func damage() throws {
    let whole = try contents(ofFile: Self.types)
    try Scratch.with { scratch in
      var read = 0
      func open(_ bytes: [UInt8]) throws {
        try TestSupport.write(bytes, toFile: scratch("f"))
        defer { try? remove(scratch("f")) }
        do throws(DiffError) {
          let file = try CheckpointFile.open(scratch("f"))
          for tensor in file.tensors { _ = try file.bytes(of: tensor) }
          read += 1
        } catch {
          #expect(!error.message.isEmpty)
        }
      }
      for length in 0..<whole.count { try open(Array(whole.prefix(length))) }
      #expect(read == 0)
      for bit in 0..<whole.count * 8 {
        var bytes = whole
        bytes[bit / 8] ^= 1 << (bit % 8)
        try open(bytes)
      }
      // Flips of elements and inside of names and metadata.
      #expect(read > 1000)
    }
  }

  @Test("insert, delete and reshape; other tensors are bit-identical and stay aligned")
  func changes() throws {
    try Scratch.with { scratch in
      let base = try CheckpointFile.open(Self.types)
      let changing: [TableChange] = [
        .insert("new", .f64, try #require(Shape([2]))), .delete("t/uint16"),
        .reshape("t/float64", try #require(Shape([2, 2]))),
      ]
      let output = try base.makeOutput(
        at: scratch("o.safetensors"), rewriting: [], changing: changing, overwriting: false)
      let new = try output.insert("new", .f64, try #require(Shape([2])))
      try write([UInt8](1...16), to: new, of: output)
      try output.delete(try #require(base.tensors.first { $0.name == "t/uint16" }))
      let wide = try output.reshape(
        try #require(base.tensors.first { $0.name == "t/float64" }),
        to: try #require(Shape([2, 2])))
      try write([UInt8](1...32), to: wide, of: output)
      let error = #expect(throws: DiffError.self) { try output.insert("more", .u8, .scalar) }
      #expect(error?.code == .usage)
      #expect(!scratch.exists("o.safetensors"))
      try output.commit()
      let made = try SafeTensorsCheckpoint(scratch("o.safetensors"))
      #expect(made.metadata == ["who": "diffkit", "quote": "\"\\é\n"])
      #expect(made.tensors.count == base.tensors.count)
      for tensor in made.tensors {
        guard case .contiguous(let offset) = tensor.storage else { continue }
        #expect(tensor.byteCount == 0 || offset % UInt64(tensor.type.width) == 0)
        switch tensor.name {
        case "new": #expect(try made.bytes(of: tensor) == Array(1...16))
        case "t/float64": #expect(try made.bytes(of: tensor) == Array(1...32))
        default:
          let old = try #require(base.tensors.first { $0.name == tensor.name })
          #expect(try made.bytes(of: tensor) == base.bytes(of: old))
        }
      }
    }
  }

  @Test("files in a folder with an index")
  func folder() throws {
    try Scratch.with { scratch in
      let map = #""weight_map":{"a":"1.safetensors","b":"2.safetensors"}"#
      func make(_ index: String) throws {
        try? remove(scratch("m"))
        try makeFolder(scratch("m"))
        for (name, part) in [("a", "1"), ("b", "2")] {
          let header = #"{"\#(name)":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}"#
          try TestSupport.write(file(header, data: 4), toFile: scratch("m/\(part).safetensors"))
        }
        try TestSupport.write(Array(index.utf8), toFile: scratch("m/x.safetensors.index.json"))
        try TestSupport.write([1, 2], toFile: scratch("m/config.json"))
        try makeFolder(scratch("m/1_Pooling"))
        try TestSupport.write([3], toFile: scratch("m/1_Pooling/config.json"))
      }
      try make(#"{"metadata":{"total_size":8},\#(map)}"#)
      for path in ["m", "m/x.safetensors.index.json"] {
        let base = try CheckpointFile.open(scratch(path))
        #expect(base.tensors.map(\.name) == ["a", "b"])
        #expect(base.files.count == 2)
        let output = try base.makeOutput(
          at: scratch("o"), rewriting: [], changing: [.insert("c", .u8, .scalar)],
          overwriting: false)
        try write([9], to: output.insert("c", .u8, .scalar), of: output)
        try write([7], to: base.tensors[0], at: 2, of: output)
        #expect(!scratch.exists("o"))
        try output.commit()
        let made = try CheckpointFile.open(scratch("o"))
        #expect(
          try made.tensors.map { try made.bytes(of: $0) } == [[0, 1, 7, 3], [0, 1, 2, 3], [9]])
        let index = try contents(ofFile: scratch("o/x.safetensors.index.json"))
        #expect(try JSONValue(parsing: index)["metadata"]?["total_size"]?.unsigned == 9)
        #expect(try contents(ofFile: scratch("o/config.json")) == [1, 2])
        #expect(try contents(ofFile: scratch("o/1_Pooling/config.json")) == [3])
        try remove(scratch("o"))
      }
      _ = try CheckpointFile.open(scratch("m")).makeOutput(
        at: scratch("gone"), rewriting: [], overwriting: false)
      #expect(try scratch.names == ["m"])
      // A file that the index does not name does not belong to the checkpoint.
      try make(#"{"weight_map":{"a":"1.safetensors"}}"#)
      #expect(try CheckpointFile.open(scratch("m")).tensors.map(\.name) == ["a"])
      for (index, message) in [
        (#"{"weight_map":{"a":"1.safetensors","b":"1.safetensors"}}"#, "is in the index but in no"),
        (
          #"{"weight_map":{"a":"2.safetensors","b":"1.safetensors"}}"#, "the index does not list it"
        ),
        (#"{"weight_map":{"a":"../1.safetensors"}}"#, "not the name of a safetensors file"),
        (#"{"weight_map":{"a":"3.safetensors"}}"#, "cannot open"),
        (#"{"weight_map":{}}"#, "names no files"), (#"{}"#, "no object 'weight_map'"),
        ("x", "not a JSON value"),
      ] {
        try make(index)
        let error = #expect(throws: DiffError.self) { try CheckpointFile.open(scratch("m")) }
        #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
      }
    }
  }

  @Test(
    "files that are not checkpoints are refused with a description",
    arguments: [
      ("PK\u{3}\u{4}", "a ZIP archive"), ("\u{89}DKF", "a diff"), ("hello", "neither HDF5 nor"),
      ("", "an empty file"), ("\u{1F}\u{8B}\u{8}", "gunzip"), ("GGUF\u{3}", "a GGUF file"),
      ("\u{93}NUMPY\u{1}", "a NumPy array"), ("<!DOCTYPE html>", "a web page"),
      ("{\"error\": \"access is restricted\"}", "JSON"), ("\u{80}\u{2}}q", "a Python pickle"),
      (String(repeating: "\0", count: 600), "zeros only"),
      ("version https://git-lfs.github.com/spec/v1\noid sha256:01\nsize 2\n", "git lfs pull"),
      (archive("model.weights.h5"), "unzip -p FILE model.weights.h5 > model.weights.h5"),
      (
        archive("model.weights.json", "model_00000.weights.h5", "model_00001.weights.h5"),
        "its weights are in model_00000.weights.h5, model_00001.weights.h5, which are not read "
          + "together; to extract one of them: unzip -p FILE model_00000.weights.h5 >"
      ),
      (archive("archive/data.pkl"), "a PyTorch archive"), (archive("w.npy"), "a NumPy archive"),
    ])
  func others(start: String, message: String) throws {
    try Scratch.with { scratch in
      try TestSupport.write(start.unicodeScalars.map { UInt8($0.value) }, toFile: scratch("f"))
      let error = #expect(throws: DiffError.self) { try CheckpointFile.open(scratch("f")) }
      #expect(error?.code == .notACheckpoint)
      #expect(error?.message.contains(message) == true)
    }
  }

  /// A ZIP archive without contents, but with a directory at its end.
  private static func archive(_ names: String...) -> String {
    func zeros(_ count: Int) -> String { String(repeating: "\0", count: count) }
    let directory = names.map { name in
      "PK\u{1}\u{2}" + zeros(24) + String(UnicodeScalar(UInt8(name.utf8.count))) + zeros(17) + name
    }
    return "PK\u{3}\u{4}" + directory.joined()
  }

  @Test(
    "files that are recognized by their names are refused with a description",
    arguments: [
      ("saved_model.pb", "\u{8}\u{1}", "a TensorFlow SavedModel"),
      ("model.weights.json", #"{"weight_map": {}}"#, "Keras weights in several files"),
    ])
  func othersByName(name: String, start: String, message: String) throws {
    try Scratch.with { scratch in
      try TestSupport.write(Array(start.utf8), toFile: scratch(name))
      let error = #expect(throws: DiffError.self) { try CheckpointFile.open(scratch(name)) }
      #expect(error?.code == .notACheckpoint)
      #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
    }
  }

  @Test("members of an entry that the format does not define are kept in a copy")
  func unknownMembers() throws {
    try Scratch.with { scratch in
      let header = #"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"note":["x"]}}"#
      try TestSupport.write(file(header, data: 1), toFile: scratch("f"))
      let output = try CheckpointFile.open(scratch("f")).makeOutput(
        at: scratch("copy"), rewriting: [], changing: [.insert("b", .u8, .scalar)],
        overwriting: false)
      try write([7], to: output.insert("b", .u8, .scalar), of: output)
      try output.commit()
      let text = String(decoding: try contents(ofFile: scratch("copy")), as: UTF8.self)
      #expect(text.contains(#""data_offsets":[0,1],"note":["x"]}"#))
    }
  }

  /// A file with one tensor of one byte.
  private func make(_ path: String, _ byte: UInt8) throws {
    var bytes = file(#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#, data: 0)
    bytes.append(byte)
    try TestSupport.write(bytes, toFile: path)
  }

  private static let index = "model.safetensors.index.json"

  @Test(
    "of several sets of weights in a folder, the one that transformers loads is used",
    arguments: [
      // Each file has its index in the list as its tensor's byte.
      (["model.safetensors"], "model.safetensors", 0),
      (["model.safetensors", "model-1.safetensors"], "model-1.safetensors", 0),
      (["consolidated.safetensors", "model-1.safetensors"], "model-1.safetensors", 1),
      (["model.safetensors", "consolidated.safetensors"], nil, 0),
    ] as [([String], String?, UInt8)])
  func sets(files: [String], indexed: String?, expected: UInt8) throws {
    try Scratch.with { scratch in
      try makeFolder(scratch("m"))
      for (number, name) in files.enumerated() { try make(scratch("m/\(name)"), UInt8(number)) }
      if let indexed {
        try TestSupport.write(
          Array(#"{"weight_map":{"a":"\#(indexed)"}}"#.utf8), toFile: scratch("m/\(Self.index)"))
      }
      let folder = try CheckpointFile.open(scratch("m"))
      #expect(try folder.bytes(of: folder.tensors[0]) == [expected])
      let others = files.indices.filter { $0 != Int(expected) }.map { files[$0] }
      let stale = indexed != nil && indexed != files[Int(expected)] ? [Self.index] : []
      #expect(Set(folder.skipped.map(\.name)) == Set((others + stale).map { TensorName($0) }))
    }
  }

  @Test("an index of missing files does not hide an existing file")
  func staleIndex() throws {
    try Scratch.with { scratch in
      try makeFolder(scratch("m"))
      try make(scratch("m/model.safetensors"), 7)
      try TestSupport.write(
        Array(#"{"weight_map":{"a":"model-00001-of-00009.safetensors"}}"#.utf8),
        toFile: scratch("m/\(Self.index)"))
      let folder = try CheckpointFile.open(scratch("m"))
      #expect(try folder.bytes(of: folder.tensors[0]) == [7])
    }
  }

  @Test("the index of a variant is an index; two ambiguous sets are both named")
  func variants() throws {
    try Scratch.with { scratch in
      try makeFolder(scratch("m"))
      try make(scratch("m/model-1.safetensors"), 3)
      let index = Array(#"{"weight_map":{"a":"model-1.safetensors"}}"#.utf8)
      try TestSupport.write(index, toFile: scratch("m/model.safetensors.index.fp16.json"))
      for path in [scratch("m"), scratch("m/model.safetensors.index.fp16.json")] {
        let folder = try CheckpointFile.open(path)
        #expect(try folder.bytes(of: folder.tensors[0]) == [3])
      }
      try make(scratch("m/unet.safetensors"), 4)
      try remove(scratch("m/model.safetensors.index.fp16.json"))
      try TestSupport.write(index, toFile: scratch("m/unet.safetensors.index.json"))
      let error = #expect(throws: DiffError.self) { try CheckpointFile.open(scratch("m")) }
      #expect(error?.message.contains("unet.safetensors.index.json, unet.safetensors") == true)
    }
  }

  @Test(
    "a folder without safetensors files is described",
    arguments: [
      (["saved_model.pb"], "a TensorFlow SavedModel"), (["tf_model.h5"], "but with 'tf_model.h5'"),
      (["model.weights.json", "model_00000.weights.h5"], "Keras weights in several files"),
      (["checkpoint", "model.ckpt.index"], "a TensorFlow checkpoint"),
      (["pytorch_model.bin"], "PyTorch weights only"), (["config.json"], "without safetensors"),
    ])
  func foreignFolders(names: [String], message: String) throws {
    try Scratch.with { scratch in
      try makeFolder(scratch("m"))
      for name in names { try TestSupport.write([1], toFile: scratch("m/\(name)")) }
      let error = #expect(throws: DiffError.self) { try CheckpointFile.open(scratch("m")) }
      #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
    }
  }

  @Test("the copy of a folder omits hidden folders, and does not have the name of a file")
  func copiedFolder() throws {
    try Scratch.with { scratch in
      for name in ["m", "m/.git", "m/onnx"] { try makeFolder(scratch(name)) }
      try make(scratch("m/model.safetensors"), 1)
      for name in ["m/.git/HEAD", "m/onnx/x", "m/.gitattributes", "m/config.json"] {
        try TestSupport.write([1], toFile: scratch(name))
      }
      let folder = try CheckpointFile.open(scratch("m"))
      try folder.makeOutput(at: scratch("copy"), rewriting: [], overwriting: false).commit()
      #expect(
        try Scratch(path: scratch("copy")).names
          == [".gitattributes", "config.json", "model.safetensors", "onnx"])
      #expect(scratch.exists("copy/onnx/x"))
      let error = #expect(throws: DiffError.self) {
        try folder.makeOutput(at: scratch("c.safetensors"), rewriting: [], overwriting: false)
      }
      #expect(error?.code == .usage)
      #expect(!scratch.exists("c.safetensors"))
    }
  }

  @Test("unchanged contents of a folder's copy that may not fit are named")
  func notes() throws {
    try Scratch.with { scratch in
      try makeFolder(scratch("m"))
      try make(scratch("m/model.safetensors"), 1)
      try TestSupport.write(
        Array(#"{"vocab_size": 1, "hidden_size": 7}"#.utf8), toFile: scratch("m/config.json"))
      let folder = try CheckpointFile.open(scratch("m"))
      #expect(try folder.notes(onChanging: []) == [])
      let notes = try folder.notes(onChanging: [.reshape("a", Shape(vector: 2))])
      #expect(notes.count == 1)
      #expect(notes.first?.hasSuffix(": vocab_size is 1, but a now has 2") == true)
      try make(scratch("m/consolidated.safetensors"), 2)
      let both = try CheckpointFile.open(scratch("m"))
      #expect(try both.notes(onChanging: []).first?.contains("consolidated.safetensors") == true)
    }
  }
}
