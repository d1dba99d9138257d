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
}
