import Checkpoints
import DiffFormat
import DiffOperations
import TensorCore
import Testing
import TestSupport

/// Whole Keras models in HDF5, whose attributes list layers and weights. (`keras_models.py` made
/// them, and checks the results with Keras.)
@Suite struct KerasModelTests {
  private static let resources = Repository.path + "/Tests/CheckpointsTests/Resources/"

  private func open(_ name: String) throws -> any Checkpoint {
    try CheckpointFile.open(Self.resources + "keras-head-\(name).h5")
  }

  /// The diff from one model to the other, and its summary.
  private func create(
    _ options: CreateOptions = CreateOptions()
  ) throws -> (diff: DiffReader, summary: CreateSummary) {
    let sink = MemorySink()
    let summary = try Diffs.create(from: open("base"), to: open("tuned"), into: sink, options)
    return (try DiffReader(bytes: sink.bytes), summary)
  }

  @Test("a diff carries the attributes of inserted and deleted layers, in both directions")
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

  @Test("an attribute that differs from the base is left unchanged")
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

  @Test("a map moves attributes to another group together with their tensors")
  func moved() throws {
    let (diff, _) = try create()
    let names = try NameMap(text: "re:^model_weights/\tweights/")
    try Scratch.with { scratch in
      let base = try move(open("base"), to: scratch("base.h5"))
      let tuned = try move(open("tuned"), to: scratch("tuned.h5"))
      #expect(try Diffs.notes(on: [diff], to: base, names: names).isEmpty)
      var options = ApplyOptions()
      options.names = names
      _ = try Diffs.apply([diff], to: base, output: scratch("made.h5"), options)
      let made = try CheckpointFile.open(scratch("made.h5"))
      #expect(try made.compare(with: tuned).areSame)
      _ = try Diffs.apply([diff], .revert, to: made, output: scratch("back.h5"), options)
      #expect(try CheckpointFile.open(scratch("back.h5")).compare(with: base).areSame)
    }
  }

  @Test("a diff made with a map carries attributes of a group with another path")
  func createdMoved() throws {
    var options = CreateOptions()
    options.names = try NameMap(text: "re:^model_weights/\tweights/")
    let sink = MemorySink()
    try Scratch.with { scratch in
      let short = try withoutHead(scratch("short.h5"))
      let other = try move(short, to: scratch("moved.h5"))
      let summary = try Diffs.create(from: open("base"), to: other, into: sink, options)
      #expect(summary.attributes.map(\.description) == ["model_weights, attribute 'layer_names'"])
      _ = try Diffs.apply(
        [DiffReader(bytes: sink.bytes)], to: open("base"), output: scratch("made.h5"))
      #expect(try CheckpointFile.open(scratch("made.h5")).compare(with: short).areSame)
    }
  }

  @Test("attributes that do not fit and cannot be carried are named")
  func named() throws {
    var options = CreateOptions()
    options.names = try NameMap(text: "re:^model_weights/\tweights/")
    let sink = MemorySink()
    try Scratch.with { scratch in
      // An inserted tensor keeps its own name, which is not in the group of the base.
      let tuned = try move(open("tuned"), to: scratch("tuned.h5"))
      let summary = try Diffs.create(from: open("base"), to: tuned, into: sink, options)
      let diff = try DiffReader(bytes: sink.bytes)
      #expect(summary.attributes.isEmpty && diff.attributes.isEmpty)
      let names = summary.notCarried.map(\.name)
      #expect(names.contains("/, attribute 'model_config'"))
      #expect(names.contains("model_weights, attribute 'layer_names'"))
      let notes = try Diffs.notes(on: [diff], to: open("base"))
      #expect(notes.count == 1)
      #expect(notes.first?.hasSuffix("layer_names, model_config, weight_names") == true)
      let converted = try open("base").convert(to: scratch("base.safetensors"), .safetensors)
      let attributes = try #require(converted.skipped.first { $0.name == "attributes" })
      #expect(attributes.reason.contains("layer_names"))
      #expect(attributes.reason.contains("weight_names"))
    }
  }

  @Test("derived diffs carry attributes that still hold, and name the rest")
  func transformed() throws {
    try Scratch.with { scratch in
      let embeddings: TensorName = "model_weights/embedding/embedding/embeddings"
      let output = try open("tuned").makeOutput(
        at: scratch("tuned.h5"), rewriting: [], overwriting: false)
      let tensor = try #require(open("tuned").tensors.first { $0.name == embeddings })
      try output.write(littleEndian([0.5] as [Float]).span, to: tensor, at: 0)
      try output.commit()
      let tuned = try CheckpointFile.open(scratch("tuned.h5"))
      try expectTransforms(
        try diff(open("base"), tuned), sum: diff(open("base"), tuned, .add(.all, values: .f32)))
    }
  }

  private func expectTransforms(_ exact: DiffReader, sum: DiffReader) throws {
    let attributes = exact.attributes.sorted { "\($0)" < "\($1)" }
    func made(_ body: (MemorySink) throws -> Void) throws -> [AttributeChange] {
      let sink = MemorySink()
      try body(sink)
      return try DiffReader(bytes: sink.bytes).attributes.sorted { "\($0)" < "\($1)" }
    }
    #expect(try made { try exact.write(into: $0, metadata: [:]) } == attributes)
    #expect(try made { _ = try Diffs.reencode(exact, into: $0) } == attributes)
    #expect(try made { _ = try Diffs.scale(sum, by: 3, into: $0) } == attributes)
    #expect(try made { _ = try Diffs.prune(sum, into: $0, PruneOptions(.all)) } == attributes)
    let merged = try made { sink in
      let summary = try Diffs.merge([MergeInput(sum), MergeInput(sum)], into: sink)
      #expect(summary.attributesLeftOut.isEmpty)
    }
    #expect(merged == attributes)
    // All inserted and deleted layers; none; some, one of them whole.
    let all = try made { sink in
      let summary = try Diffs.extract(
        exact, tensors: [], except: [NamePattern("*embeddings")], into: sink)
      #expect(summary.attributesLeftOut.isEmpty)
    }
    #expect(all == attributes)
    let none = try made { sink in
      let summary = try Diffs.extract(exact, tensors: [NamePattern("*embeddings")], into: sink)
      #expect(summary.attributesLeftOut.isEmpty)
    }
    #expect(none == [])
    let some = try made { sink in
      let summary = try Diffs.extract(exact, tensors: [NamePattern("*/hidden/*")], into: sink)
      let names = summary.attributesLeftOut.map(\.description)
      #expect(names.contains("/, attribute 'model_config'"))
      #expect(names.contains("model_weights, attribute 'layer_names'"))
    }
    #expect(some.map(\.description) == ["model_weights/hidden, attribute 'weight_names'"])
  }

  @Test("attributes of a chain are those of its ends; where they do not follow, they are named")
  func composed() throws {
    let (first, _) = try create()
    try Scratch.with { scratch in
      func compose(_ diffs: [DiffReader]) throws -> (DiffReader, ComposeSummary) {
        let sink = MemorySink()
        let summary = try Diffs.compose(diffs, into: sink)
        return (try DiffReader(bytes: sink.bytes), summary)
      }
      let short = try withoutHead(scratch("short.h5"))
      let sink = MemorySink()
      _ = try Diffs.create(from: open("tuned"), to: short, into: sink)
      let second = try DiffReader(bytes: sink.bytes)
      let (both, summary) = try compose([first, second])
      #expect(summary.attributesLeftOut.isEmpty)
      _ = try Diffs.apply([both], to: open("base"), output: scratch("made.h5"))
      #expect(try CheckpointFile.open(scratch("made.h5")).compare(with: short).areSame)

      let back = MemorySink()
      _ = try Diffs.create(from: open("tuned"), to: open("base"), into: back)
      let (nothing, _) = try compose([first, DiffReader(bytes: back.bytes)])
      #expect(nothing.isEmpty && nothing.attributes.isEmpty)

      let foreign = try setting("model_config", "{}", in: open("tuned"), scratch("foreign.h5"))
      let third = MemorySink()
      _ = try Diffs.create(from: foreign, to: short, into: third)
      let (broken, outcome) = try compose([first, DiffReader(bytes: third.bytes)])
      #expect(outcome.attributesLeftOut.map(\.name) == ["model_config"])
      #expect(!broken.attributes.map(\.name).contains("model_config"))
    }
  }

  @Test("a merge of two heads names the attributes that cannot hold for both")
  func mergedHeads() throws {
    var options = CreateOptions()
    options.mode = .add(.all, values: .f32)
    let (sum, _) = try create(options)
    try Scratch.with { scratch in
      let foreign = try setting("model_config", "{}", in: open("tuned"), scratch("foreign.h5"))
      let other = MemorySink()
      _ = try Diffs.create(from: open("base"), to: foreign, into: other, options)
      let sink = MemorySink()
      let summary = try Diffs.merge(
        [MergeInput(sum), MergeInput(DiffReader(bytes: other.bytes))], into: sink)
      #expect(summary.attributesLeftOut.map(\.name) == ["model_config"])
      let names = Set(try DiffReader(bytes: sink.bytes).attributes.map(\.name))
      #expect(names == ["layer_names", "weight_names"])
    }
  }

  /// A copy of a model whose root has an attribute of another text.
  private func setting(
    _ name: String, _ text: String, in source: any Checkpoint, _ path: String
  ) throws -> any Checkpoint {
    let output = try source.makeOutput(at: path, rewriting: [], overwriting: false)
    let value = AttributeValue([text], isList: false, isVariable: true)
    try output.setAttribute(AttributeChange(object: "", name: name, old: nil, new: value))
    try output.commit()
    return try CheckpointFile.open(path)
  }

  /// A copy of the base without its last layer.
  private func withoutHead(_ path: String) throws -> any Checkpoint {
    let base = try open("base")
    let output = try base.makeOutput(at: path, rewriting: [], overwriting: false)
    for tensor in base.tensors where tensor.name.description.contains("/output/") {
      try output.delete(tensor)
    }
    let object: TensorName = "model_weights"
    let contents = try base.otherContents()
    let list = try #require(contents.first { $0.name == object && $0.attribute == "layer_names" })
    var value = try #require(list.value)
    value.texts.removeAll { $0 == "output" }
    try output.setAttribute(
      AttributeChange(object: object, name: "layer_names", old: list.value, new: value))
    try output.commit()
    return try CheckpointFile.open(path)
  }

  /// A copy of a model whose group `model_weights` is called `weights`.
  private func move(_ source: any Checkpoint, to path: String) throws -> any Checkpoint {
    func moved(_ name: TensorName) -> TensorName {
      TensorName(name.description.replacing(/^model_weights/, with: "weights"))
    }
    let output = try source.makeOutput(at: path, rewriting: [], overwriting: false)
    for content in try source.otherContents() where moved(content.name) != content.name {
      guard let name = content.attribute, let value = content.value else { continue }
      try output.setAttribute(
        AttributeChange(object: moved(content.name), name: name, old: nil, new: value))
      try output.setAttribute(
        AttributeChange(object: content.name, name: name, old: value, new: nil))
    }
    for tensor in source.tensors where moved(tensor.name) != tensor.name {
      let bytes = try source.bytes(of: tensor)
      try output.delete(tensor)
      let new = try output.insert(moved(tensor.name), tensor.type, tensor.shape)
      try output.write(bytes.span, to: new, at: 0)
    }
    try output.commit()
    return try CheckpointFile.open(path)
  }

  @Test("changes of elements leave attributes unchanged")
  func elements() throws {
    let base = try CheckpointFile.open(Self.resources + "keras-base.h5")
    let tuned = try CheckpointFile.open(Self.resources + "keras-tuned.h5")
    #expect(try DiffReader(bytes: diffBytes(base, tuned)).attributes.isEmpty)
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

  @Test("the description of a model is named where shapes change and the other format has none")
  func otherFormat() throws {
    try Scratch.with { scratch in
      let base = try open("base")
      let bias = try #require(base.tensors.first { $0.name.description.hasSuffix("output/bias") })
      let output = try base.makeOutput(at: scratch("tuned.h5"), rewriting: [], overwriting: false)
      let wide = try output.reshape(bias, to: Shape(vector: 5))
      try output.write([UInt8](repeating: 0, count: 20).span, to: wide, at: 0)
      try output.commit()
      let tuned = try CheckpointFile.open(scratch("tuned.h5"))
      _ = try tuned.convert(to: scratch("tuned.safetensors"), .safetensors)
      _ = try base.convert(to: scratch("base.safetensors"), .safetensors)
      let bare = try CheckpointFile.open(scratch("tuned.safetensors"))
      let bareBase = try CheckpointFile.open(scratch("base.safetensors"))
      for (from, to) in [(base, bare), (bareBase, tuned)] {
        let sink = MemorySink()
        let summary = try Diffs.create(from: from, to: to, into: sink)
        #expect(summary.notCarried.map(\.name).contains("/, attribute 'model_config'"))
        let notes = try Diffs.notes(on: [DiffReader(bytes: sink.bytes)], to: base)
        #expect(notes.count == 1)
        #expect(notes.first?.hasSuffix("reshaped tensors: model_config") == true)
      }
      let same = try Diffs.create(from: base, to: bareBase, into: MemorySink())
      #expect(same.notCarried.isEmpty)
    }
  }
}
