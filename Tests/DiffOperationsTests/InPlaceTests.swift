import Checkpoints
import DiffFormat
import DiffOperations
import Platform
import SystemSupport
import TensorCore
import Testing
import TestSupport

@Suite struct InPlaceTests {
  /// Checkpoints of each kind, at `base` and `tuned`.
  enum Kind: String, CaseIterable { case hdf5, safetensors, folder }

  private struct Files {
    let scratch: Scratch
    let base, tuned: String

    /// The files of a checkpoint, with their bytes.
    func bytes(_ path: String) throws -> [String: [UInt8]] {
      var all: [String: [UInt8]] = [:]
      guard Folder.exists(path) else { return ["": try contents(ofFile: path)] }
      for name in try Folder.names(path) { all[name] = try contents(ofFile: path + "/" + name) }
      return all
    }

    func diff(_ mode: CreateMode = .xor) throws -> DiffReader {
      try DiffOperationsTests.diff(CheckpointFile.open(base), CheckpointFile.open(tuned), mode)
    }
  }

  private static let types: [(name: TensorName, type: ElementType, extents: [UInt64])] = [
    ("empty", .f32, [0, 3]), ("large", .f32, [900, 1000]), ("scalar", .f32, []),
    ("small", .bf16, [3, 5]), ("odd", .i8, [13]),
  ]

  private func make(
    _ path: String, _ format: CheckpointFormat, _ names: some Sequence<TensorName>, seed: UInt64,
    changing: Bool, _ types: [(name: TensorName, type: ElementType, extents: [UInt64])] = types
  ) throws {
    let rows = try types.filter { names.contains($0.name) }.map {
      ($0.name, $0.type, try #require(Shape($0.extents)))
    }
    let (output, tensors) = try CheckpointFile.make(at: path, format, rows)
    for (number, tensor) in tensors.enumerated() {
      var random = SplitMix64(seed: seed + UInt64(number))
      // Finite floats of every type, whatever the bytes.
      var bytes = (0..<Int(tensor.byteCount)).map { _ in UInt8(random.next() % 64) }
      if changing && !bytes.isEmpty {
        for _ in 0..<1 + bytes.count / 1000 { bytes[Int(random.next() % UInt64(bytes.count))] ^= 1 }
      }
      try output.write(bytes.span, to: tensor, at: 0)
    }
    try output.commit()
  }

  private func with(_ kind: Kind, _ body: (Files) throws -> Void) throws {
    let seed = TestSeed.value
    try Scratch.with { scratch in
      let suffix = kind == .hdf5 ? ".h5" : kind == .safetensors ? ".safetensors" : ""
      for name in ["base", "tuned"] {
        let path = scratch(name + suffix)
        let all = Self.types.map(\.name)
        guard kind == .folder else {
          let format = kind == .hdf5 ? CheckpointFormat.hdf5 : .safetensors
          try make(path, format, all, seed: seed, changing: name == "tuned")
          continue
        }
        try makeFolder(path)
        let parts =
          [
            ("1.safetensors", ["large", "odd"]), ("2.safetensors", ["empty", "scalar", "small"]),
          ] as [(String, [TensorName])]
        var map: [String] = []
        for (part, names) in parts {
          try make(path + "/" + part, .safetensors, names, seed: seed, changing: name == "tuned")
          map += names.map { #""\#($0)":"\#(part)""# }
        }
        try write(
          Array(#"{"weight_map":{\#(map.joined(separator: ","))}}"#.utf8),
          toFile: path + "/model.safetensors.index.json")
      }
      let files = Files(
        scratch: scratch, base: scratch("base" + suffix), tuned: scratch("tuned" + suffix))
      do { try body(files) } catch {
        Issue.record("seed \(seed): \(error)")
      }
    }
  }

  @Test(
    "in place, apply and revert leave the bytes that they write to new files, and nothing else",
    arguments: Kind.allCases, Verification.allCases)
  func roundTrip(kind: Kind, verification: Verification) throws {
    try with(kind) { files in
      var options = ApplyOptions()
      options.verification = verification
      let diff = try files.diff()
      let before = try files.bytes(files.base)
      let new = files.scratch("new")
      _ = try Diffs.apply([diff], to: CheckpointFile.open(files.base), output: new, options)
      let names = try files.scratch.names
      let done = try Diffs.applyInPlace([diff], to: CheckpointFile.open(files.base), options)
      #expect(done == .patched(tensors: 4))
      #expect(try files.bytes(files.base) == files.bytes(new))
      let again = try Diffs.applyInPlace([diff], to: CheckpointFile.open(files.base), options)
      #expect(again == .alreadyDone)
      let back = try Diffs.applyInPlace(
        [diff], .revert, to: CheckpointFile.open(files.base), options)
      #expect(back == .patched(tensors: 4))
      #expect(try files.bytes(files.base) == before)
      #expect(try files.scratch.names == names)
    }
  }

  /// Returns a diff that changes every byte of a tensor.
  private func changing(_ name: TensorName, of path: String) throws -> DiffReader {
    let base = try CheckpointFile.open(path)
    let tuned = MemoryCheckpoint(
      try base.tensors.map { tensor in
        let bytes = try base.bytes(of: tensor)
        return MemoryTensor(
          tensor.name, tensor.type, tensor.shape, tensor.name == name ? bytes.map { $0 ^ 1 } : bytes
        )
      })
    return try DiffOperationsTests.diff(base, tuned)
  }

  @Test(
    "where most of the bytes may change, new files replace the old ones; the contents are the same",
    arguments: Kind.allCases, Verification.allCases)
  func replaced(kind: Kind, verification: Verification) throws {
    try with(kind) { files in
      // Beside the files of the other tests, so that a folder has a part that stays as it is.
      let path = kind == .folder ? files.base + "/3.safetensors" : files.base
      let rows = [("wide", .u8, [24 << 20])] as [(TensorName, ElementType, [UInt64])]
      try? remove(path)
      try make(
        path, kind == .hdf5 ? .hdf5 : .safetensors, ["wide"], seed: 1, changing: false, rows)
      if kind == .folder {
        let index = files.base + "/model.safetensors.index.json"
        let text = String(decoding: try contents(ofFile: index), as: UTF8.self)
        try remove(index)
        let map = text.replacing(
          "{\"weight_map\":{", with: #"{"weight_map":{"wide":"3.safetensors","#)
        try write(Array(map.utf8), toFile: index)
      }
      let made = try changing("wide", of: files.base)
      let before = try files.bytes(files.base)
      var options = ApplyOptions()
      options.verification = verification
      let new = files.scratch("new")
      _ = try Diffs.apply([made], to: CheckpointFile.open(files.base), output: new, options)
      let names = try files.scratch.names
      for (direction, wanted) in [
        (.apply, try files.bytes(new)), (.revert, before),
      ] as [(Direction, [String: [UInt8]])] {
        let old = try File(path)
        let done = try Diffs.applyInPlace(
          [made], direction, to: CheckpointFile.open(files.base), options)
        #expect(done == .written(tensors: 1))
        #expect(try files.bytes(files.base) == wanted)
        #expect(try !old.isSame(as: File(path)))
        #expect(try files.scratch.names == names)
      }
    }
  }

  @Test("a folder of files may be written into the one that it is made from")
  func folderInFolder() throws {
    try with(.folder) { files in
      let inside = files.base + "/new"
      _ = try Diffs.apply([files.diff()], to: CheckpointFile.open(files.base), output: inside)
      let (made, tuned) = (try CheckpointFile.open(inside), try CheckpointFile.open(files.tuned))
      for (one, other) in zip(made.tensors, tuned.tensors) {
        #expect(try made.fingerprint(of: one) == tuned.fingerprint(of: other))
      }
      #expect(made.tensors.count == tuned.tensors.count)
      #expect(try Folder.names(inside).sorted() == Folder.names(files.tuned).sorted())
    }
  }

  @Test("an addition in place, and its undo in place", arguments: Kind.allCases)
  func undo(kind: Kind) throws {
    try with(kind) { files in
      var options = CreateOptions()
      options.mode = .add(.all, values: .f32)
      options.skipsNonfloat = true
      let diff = try DiffReader(
        bytes: diffBytes(CheckpointFile.open(files.base), CheckpointFile.open(files.tuned), options)
      )
      let before = try files.bytes(files.base)
      var undo = ApplyOptions()
      undo.undoPath = files.scratch("undo.diff")
      let done = try Diffs.applyInPlace([diff], to: CheckpointFile.open(files.base), undo)
      #expect(done == .patched(tensors: 3))
      #expect(try files.bytes(files.base) != before)
      _ = try Diffs.applyInPlace(
        [DiffReader(files.scratch("undo.diff"))], to: CheckpointFile.open(files.base))
      #expect(try files.bytes(files.base) == before)
    }
  }

  @Test("a wrong base is left unchanged, whatever the last tensor is", arguments: Kind.allCases)
  func wrongBase(kind: Kind) throws {
    try with(kind) { files in
      let diff = try files.diff()
      // Another base, but for its smallest tensor.
      let tensor = try #require(
        CheckpointFile.open(files.base).tensors.first { $0.name == "large" })
      guard case .contiguous(let offset) = tensor.storage else { return }
      let path = try CheckpointFile.open(files.base).files[tensor.file]
      do {
        let file = try File(path, writable: true)
        try file.write([77, 77].span, at: offset + 100)
      }
      let before = try files.bytes(files.base)
      let names = try files.scratch.names
      let error = #expect(throws: DiffError.self) {
        try Diffs.applyInPlace([diff], to: CheckpointFile.open(files.base))
      }
      #expect(error?.code == .wrongBase)
      #expect(error?.tensor == "large")
      #expect(try files.bytes(files.base) == before)
      #expect(try files.scratch.names == names)
    }
  }

  @Test("a file that another process uses is not changed in place", arguments: Kind.allCases)
  func locked(kind: Kind) throws {
    try with(kind) { files in
      let diff = try files.diff()
      let before = try files.bytes(files.base)
      do {
        let reader = try CheckpointFile.open(files.base)
        let error = #expect(throws: DiffError.self) {
          try Diffs.applyInPlace([diff], to: CheckpointFile.open(files.base))
        }
        #expect(error?.code == .locked)
        #expect(try files.bytes(files.base) == before)
        withExtendedLifetime(reader) {}
      }
      let output = try CheckpointFile.open(files.base).makeInPlaceOutput()
      let error = #expect(throws: DiffError.self) { try CheckpointFile.open(files.base) }
      #expect(error?.code == .locked)
      withExtendedLifetime(output) {}
    }
  }

  @Test("links, other names and read-only files are refused", arguments: Kind.allCases)
  func refused(kind: Kind) throws {
    try with(kind) { files in
      let diff = try files.diff()
      let before = try files.bytes(files.base)
      func expectRefusal(_ path: String, _ message: String) throws {
        let error = #expect(throws: DiffError.self) {
          try Diffs.applyInPlace([diff], to: CheckpointFile.open(path))
        }
        #expect(error?.code == .unsupportedCheckpoint)
        #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
        #expect(try files.bytes(files.base) == before)
      }
      let file = try CheckpointFile.open(files.base).files[0]
      #expect(unsafe chmod(file, 0o444) == 0)
      try expectRefusal(files.base, "read-only")
      #expect(unsafe chmod(file, 0o644) == 0)
      #expect(unsafe link(file, files.scratch("other")) == 0)
      try expectRefusal(files.base, "hard links")
      #expect(unsafe unlink(file) == 0)
      #expect(unsafe symlink(files.scratch("other"), file) == 0)
      try expectRefusal(files.base, "symbolic link")
    }
  }

  @Test("changes of more than elements replace the whole file", arguments: Kind.allCases)
  func replaced(kind: Kind) throws {
    try with(kind) { files in
      let shape = try #require(Shape([2]))
      let more = try {
        let base = try CheckpointFile.open(files.base)
        let output = try base.makeOutput(
          at: files.scratch("more"), rewriting: [], changing: [.insert("new", .f32, shape)],
          overwriting: false)
        try output.write(
          [1, 2, 3, 4, 5, 6, 7, 8].span, to: output.insert("new", .f32, shape), at: 0)
        try output.commit()
        return try DiffOperationsTests.diff(base, CheckpointFile.open(files.scratch("more")))
      }()
      let before = try files.bytes(files.base)
      guard kind != .folder else {
        let error = #expect(throws: DiffError.self) {
          try Diffs.applyInPlace([more], to: CheckpointFile.open(files.base))
        }
        #expect(error?.code == .unsupported)
        #expect(error?.tensor == "new")
        #expect(try files.bytes(files.base) == before)
        return
      }
      let names = try files.scratch.names
      #expect(
        try Diffs.applyInPlace([more], to: CheckpointFile.open(files.base)) == .written(tensors: 1))
      #expect(try CheckpointFile.open(files.base).tensors.map(\.name).contains("new"))
      let back = try Diffs.applyInPlace([more], .revert, to: CheckpointFile.open(files.base))
      #expect(back == .written(tensors: 1))
      #expect(try !CheckpointFile.open(files.base).tensors.map(\.name).contains("new"))
      // HDF5 does not reclaim the space.
      if kind == .safetensors { #expect(try files.bytes(files.base) == before) }
      #expect(try files.scratch.names == names)
    }
  }

  @Test("a base that is modified meanwhile is detected, in place or not")
  func changedMeanwhile() throws {
    try with(.safetensors) { files in
      let diff = try files.diff()
      let size = try File(files.base).size
      func change(_: OperationProgress) {
        guard let file = try? File(files.base, writable: true) else { return }
        try? file.write([9].span, at: size - 1)
      }
      let before = try contents(ofFile: files.base).dropLast()
      for isInPlace in [false, true] {
        let error = #expect(throws: DiffError.self) {
          let base = try CheckpointFile.open(files.base)
          _ =
            try isInPlace
            ? Diffs.applyInPlace([diff], to: base, progress: change)
            : Diffs.apply([diff], to: base, output: files.scratch("o"), progress: change)
        }
        #expect([.changed, .wrongBase].contains(error?.code))
        #expect(try contents(ofFile: files.base).dropLast() == before)
        #expect(!files.scratch.exists("o"))
      }
    }
  }

  @Test("single elements, some, most or all of them, in types of each width")
  func densities() throws {
    try Scratch.with { scratch in
      let seed = TestSeed.value
      var random = SplitMix64(seed: seed)
      let types: [ElementType] = [.u8, .bf16, .f32, .f64]
      let rows = try types.map { (TensorName("\($0)"), $0, try #require(Shape([300, 1000]))) }
      for density in [0.00001, 0.001, 0.03, 0.3, 0.7, 1] {
        let values = rows.map { row in
          (0..<row.2.count * UInt64(row.1.width)).map { _ in UInt8(random.next() % 256) }
        }
        for name in ["base", "tuned"] {
          let (output, tensors) = try CheckpointFile.make(
            at: scratch(name), .safetensors, rows, overwriting: true)
          for (tensor, old) in zip(tensors, values) {
            let width = tensor.type.width
            var bytes = old
            for element in 0..<bytes.count / width where name == "tuned" && random.unit() < density
            {
              bytes[element * width + Int(random.next() % UInt64(width))] ^= 16
            }
            try output.write(bytes.span, to: tensor, at: 0)
          }
          try output.commit()
        }
        let (base, tuned) = (scratch("base"), scratch("tuned"))
        let diff = try DiffOperationsTests.diff(
          CheckpointFile.open(base), CheckpointFile.open(tuned))
        let old = try contents(ofFile: base)
        _ = try Diffs.applyInPlace([diff], to: CheckpointFile.open(base))
        #expect(
          try contents(ofFile: base) == contents(ofFile: tuned), "seed \(seed), \(density)")
        _ = try Diffs.applyInPlace([diff], .revert, to: CheckpointFile.open(base))
        #expect(try contents(ofFile: base) == old, "seed \(seed), \(density)")
      }
    }
  }
}
