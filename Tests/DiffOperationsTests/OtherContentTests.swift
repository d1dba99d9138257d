import Checkpoints
import DiffOperations
import TensorCore
import Testing
import TestSupport

/// Comparing the contents of checkpoints other than tensors.
@Suite struct OtherContentTests {
  private static let resources = Repository.path + "/Tests/CheckpointsTests/Resources/"

  private func open(_ number: Int) throws -> any Checkpoint {
    try CheckpointFile.open(Self.resources + "contents-\(number).h5")
  }

  @Test("objects and attributes of every kind are found equal or different")
  func everyKind() throws {
    let comparison = try open(1).compare(with: open(2))
    #expect(comparison.haveSameTensors && !comparison.areSame)
    #expect(comparison.tensors.map(\.type).contains(.c64))
    #expect(comparison.others.count > 35)
    for other in comparison.others {
      let isOnly =
        other.name.description.hasPrefix("empty") || other.attribute?.hasPrefix("only") == true
      let number = (other.attribute ?? other.name.description).last
      // An attribute without elements, and a link to a target, are the same whatever the number.
      let differs = other.name.description.hasPrefix("differs") || other.attribute == "differs"
      let expected: CheckpointComparison.Other.State =
        isOnly
        ? number == "1" ? .onlyInFirst : .onlyInSecond
        : differs && other.attribute != "nothing" ? .different : .equal
      #expect(other.state == expected, "\(other)")
    }
  }

  @Test("a file equals itself, whatever it holds")
  func itself() throws {
    for path in [Self.resources + "contents-1.h5", Repository.base] {
      let comparison = try CheckpointFile.open(path).compare(with: CheckpointFile.open(path))
      #expect(comparison.areSame && !comparison.others.isEmpty)
    }
  }

  @Test("between formats, only tensors are compared, and other numeric contents are named")
  func acrossFormats() throws {
    try Scratch.with { scratch in
      let source = try open(1)
      _ = try source.convert(to: scratch("c.safetensors"), .safetensors)
      let comparison = try source.compare(with: CheckpointFile.open(scratch("c.safetensors")))
      #expect(comparison.comparesTensorsAlone && comparison.haveSameTensors)
      // Enumerations and compounds are numbers that the other file lacks.
      #expect(!comparison.areSame)
      #expect(comparison.others.contains { $0.name == "equal/text" && !$0.mayHoldNumbers })
      #expect(comparison.others.contains { $0.name == "equal/record" && $0.mayHoldNumbers })
    }
  }

  /// A safetensors file with a tensor of a type that diffkit does not support.
  private func make(_ path: String, _ type: String, byte: UInt8, metadata: String = "a") throws {
    let header =
      #"{"__metadata__":{"who":"\#(metadata)"},"w":{"dtype":"\#(type)","shape":[1],"#
      + #""data_offsets":[0,1]}}"#
    try write(
      littleEndian([UInt64(header.utf8.count)]) + Array(header.utf8) + [byte], toFile: path)
  }

  @Test(
    "tensors of types that diffkit lacks, and metadata, are compared by their bytes",
    arguments: ["F8_E4M3FNUZ", "F8_E5M2FNUZ"])
  func safetensors(type: String) throws {
    try Scratch.with { scratch in
      try make(scratch("a"), type, byte: 1)
      try make(scratch("b"), type, byte: 2)
      try make(scratch("c"), type, byte: 1, metadata: "b")
      let file = try CheckpointFile.open(scratch("a"))
      #expect(file.tensors.isEmpty && file.skipped.map(\.name) == ["w"])
      #expect(try file.compare(with: file).areSame)
      for (path, name) in [("b", "w"), ("c", "__metadata__")] as [(String, TensorName)] {
        let comparison = try file.compare(with: CheckpointFile.open(scratch(path)))
        #expect(!comparison.areSame)
        #expect(comparison.others.filter { $0.state == .different }.map(\.name) == [name])
      }
    }
  }

  @Test("the other files of a folder are compared")
  func folders() throws {
    try Scratch.with { scratch in
      for name in ["m", "n"] {
        try makeFolder(scratch(name))
        try make(scratch("\(name)/model.safetensors"), "U8", byte: 1)
        try write(Array(name.utf8), toFile: scratch("\(name)/config.json"))
      }
      let folder = try CheckpointFile.open(scratch("m"))
      let comparison = try folder.compare(with: CheckpointFile.open(scratch("n")))
      #expect(comparison.haveSameTensors && !comparison.areSame)
      #expect(comparison.others.filter { $0.state != .equal }.map(\.name) == ["config.json"])
      let file = try CheckpointFile.open(scratch("n/model.safetensors"))
      #expect(try folder.compare(with: file).areSame)
    }
  }

  private func openTypes(_ suffix: String) throws -> any Checkpoint {
    try CheckpointFile.open(Self.resources + "datatypes-\(suffix).h5")
  }

  @Test("objects and attributes of equal bytes differ if their datatypes do, however encoded")
  func datatypes() throws {
    let one = try openTypes("1")
    let comparison = try one.compare(with: openTypes("2"))
    #expect(comparison.haveSameTensors && !comparison.areSame)
    #expect(comparison.others.count == 11)
    for other in comparison.others { #expect(other.state == .different, "\(other)") }
    #expect(try one.compare(with: openTypes("latest")).areSame)
  }

  @Test("a diff names attributes of which only the datatype differs")
  func datatypesInDiffs() throws {
    let summary = try Diffs.create(from: openTypes("1"), to: openTypes("2"), into: MemorySink())
    let names = summary.notCarried.map(\.name)
    for name in ["names", "bits", "sign"] {
      #expect(names.contains(TensorName("/, attribute '\(name)'")), "\(names)")
    }
  }

  @Test("the bytes before the HDF5 part of a file are compared")
  func userBlock() throws {
    try Scratch.with { scratch in
      var bytes = try contents(ofFile: Self.resources + "user-block.h5")
      bytes[0] ^= 1
      try write(bytes, toFile: scratch("other.h5"))
      let comparison = try CheckpointFile.open(Self.resources + "user-block.h5")
        .compare(with: CheckpointFile.open(scratch("other.h5")))
      #expect(comparison.haveSameTensors && !comparison.areSame)
      #expect(comparison.others.filter { $0.state != .equal }.map(\.kind) == ["the user block"])
    }
  }

  @Test("members of a safetensors header entry that the format does not define are compared")
  func unknownMembers() throws {
    try Scratch.with { scratch in
      for (path, note) in [("a", ""), ("b", #","note":"b""#), ("c", #","note":"c""#)] {
        let header = #"{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]\#(note)}}"#
        try write(
          littleEndian([UInt64(header.utf8.count)]) + Array(header.utf8) + [1],
          toFile: scratch(path))
      }
      for (one, other, state) in [("a", "b", "only-in-second"), ("b", "c", "different")] {
        let comparison = try CheckpointFile.open(scratch(one))
          .compare(with: CheckpointFile.open(scratch(other)))
        #expect(comparison.haveSameTensors && !comparison.areSame)
        #expect(comparison.others.map(\.state.rawValue) == [state])
      }
    }
  }

  @Test("hidden and empty folders of a folder are compared, and no matter for a diff")
  func hiddenFolders() throws {
    try Scratch.with { scratch in
      for name in ["m", "n"] {
        for folder in ["", "/.cache", "/sub"] { try makeFolder(scratch(name + folder)) }
        try make(scratch("\(name)/model.safetensors"), "U8", byte: 1)
        try write(Array(name.utf8), toFile: scratch("\(name)/.cache/x"))
      }
      try makeFolder(scratch("n/sub/empty"))
      let (one, other) = (
        try CheckpointFile.open(scratch("m")), try CheckpointFile.open(scratch("n"))
      )
      let comparison = try one.compare(with: other)
      #expect(comparison.haveSameTensors && !comparison.areSame)
      let others = comparison.others.filter { $0.state != .equal }
      #expect(others.map(\.name) == [".cache/x", "sub", "sub/empty"])
      #expect(others.map(\.state) == [.different, .onlyInFirst, .onlyInSecond])
      let summary = try Diffs.create(from: one, to: other, into: MemorySink())
      #expect(!summary.notCarried.contains { $0.name == ".cache/x" })
    }
  }
}
