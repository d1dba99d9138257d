import Checkpoints
import DiffFormat
import DiffOperations
import TensorCore
import Testing
import TestSupport

/// Whole models of Keras in HDF5, whose attributes list layers and weights. (`keras_models.py` made
/// them, and checks with Keras what comes of them.)
@Suite struct KerasModelTests {
  private static let resources = Repository.path + "/Tests/CheckpointsTests/Resources/"

  private func open(_ name: String) throws -> any Checkpoint {
    try CheckpointFile.open(Self.resources + "keras-head-\(name).h5")
  }

  /// The diff from one model to the other, and what was said of it.
  private func create(
    _ options: CreateOptions = CreateOptions()
  ) throws -> (diff: DiffReader, summary: CreateSummary) {
    let sink = MemorySink()
    let summary = try Diffs.create(from: open("base"), to: open("tuned"), into: sink, options)
    return (try DiffReader(bytes: sink.bytes), summary)
  }

  @Test("a diff takes along what describes layers that come and go, in both directions")
  func carried() throws {
    let (diff, summary) = try create()
    #expect(Set(summary.attributes.map(\.name)) == ["layer_names", "model_config", "weight_names"])
    #expect(diff.attributes == summary.attributes)
    #expect(summary.notCompared.isEmpty && summary.notCarried.isEmpty)
    #expect(try Diffs.notes(on: [diff], to: open("base")).isEmpty)
    try Scratch.with { scratch in
      var options = ApplyOptions()
      options.undoPath = scratch("undo.diff")
      _ = try Diffs.apply([diff], to: open("base"), output: scratch("tuned.h5"), options)
      let made = try CheckpointFile.open(scratch("tuned.h5"))
      #expect(try made.compare(with: open("tuned")).areSame)
      let undo = try DiffReader(scratch("undo.diff"))
      _ = try Diffs.apply([undo], to: made, output: scratch("undone.h5"))
      #expect(try CheckpointFile.open(scratch("undone.h5")).compare(with: open("base")).areSame)
      _ = try Diffs.apply([diff], .revert, to: made, output: scratch("base.h5"))
      #expect(try CheckpointFile.open(scratch("base.h5")).compare(with: open("base")).areSame)
    }
  }

  @Test("an attribute that is not the one of the base is left alone")
  func foreignAttributes() throws {
    let (diff, _) = try create()
    try Scratch.with { scratch in
      let output = try open("base").makeOutput(
        at: scratch("other.h5"), rewriting: [], overwriting: false)
      let own = AttributeValue(["{}"], isList: false, isVariable: true)
      try output.setAttribute(AttributeChange(object: "", name: "model_config", old: nil, new: own))
      try output.commit()
      let other = try CheckpointFile.open(scratch("other.h5"))
      _ = try Diffs.apply([diff], to: other, output: scratch("tuned.h5"))
      let made = try CheckpointFile.open(scratch("tuned.h5"))
      let different = try made.compare(with: open("tuned")).others.filter { $0.state != .equal }
      #expect(different.map(\.attribute) == ["model_config"])
      #expect(made.metadata["model_config"] == "{}")
      #expect(try Diffs.notes(on: [diff], to: other).first?.hasSuffix(": model_config") == true)
    }
  }

  @Test("where they cannot be taken along, attributes that do not fit are named")
  func named() throws {
    var options = CreateOptions()
    options.names = try NameMap(text: "some/name\tanother/name")
    let (diff, summary) = try create(options)
    #expect(summary.attributes.isEmpty && diff.extensions.isEmpty)
    let names = summary.notCarried.map(\.name)
    #expect(names.contains("/, attribute 'model_config'"))
    #expect(names.contains("model_weights, attribute 'layer_names'"))
    let notes = try Diffs.notes(on: [diff], to: open("base"))
    #expect(notes.count == 1)
    #expect(notes.first?.hasSuffix("layer_names, model_config, weight_names") == true)
    try Scratch.with { scratch in
      let converted = try open("base").convert(to: scratch("base.safetensors"), .safetensors)
      let attributes = try #require(converted.skipped.first { $0.name == "attributes" })
      #expect(attributes.reason.contains("layer_names"))
      #expect(attributes.reason.contains("weight_names"))
    }
  }

  @Test("elements alone leave attributes alone")
  func elements() throws {
    let base = try CheckpointFile.open(Self.resources + "keras-base.h5")
    let tuned = try CheckpointFile.open(Self.resources + "keras-tuned.h5")
    #expect(try DiffReader(bytes: diffBytes(base, tuned)).extensions.isEmpty)
  }

  @Test("the extension is read as it was written, and no further than its bytes go")
  func coding() {
    let values: [AttributeValue?] = [
      nil, AttributeValue(["a"], isList: false), AttributeValue([], isList: true),
      AttributeValue(["é", "", "c"], isList: true, isVariable: true),
    ]
    let changes = values.flatMap { old in
      values.map { AttributeChange(object: "a/b", name: "n", old: old, new: $0) }
    }
    let made = DiffExtension(attributes: changes)
    #expect(made.attributes == changes)
    for count in 0..<made.bytes.count {
      let cut = DiffExtension(identifier: 2, bytes: Array(made.bytes.prefix(count)))
      #expect(cut.attributes == nil)
    }
    #expect(DiffExtension(identifier: 2, bytes: made.bytes + [0]).attributes == nil)
    #expect(DiffExtension(identifier: 3, bytes: made.bytes).attributes == nil)
  }
}
