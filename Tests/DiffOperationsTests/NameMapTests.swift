import Checkpoints
import DiffFormat
import DiffOperations
import TensorCore
import Testing
import TestSupport

@Suite struct NameMapTests {
  @Test("whole names come first, then the first pattern that matches")
  func rules() throws {
    let map = try NameMap(
      text: """
        # a comment

        a/b\tc.d
        re:^layer(\\d+)/\tblocks.$1.
        re:layer\tLAYER
        re:x\t$0$$$0
        re:gone\t

        """)
    #expect(map["a/b"] == "c.d")
    #expect(map["layer12/w/layer"] == "blocks.12.w/layer")
    #expect(map["w/layer/layer"] == "w/LAYER/LAYER")
    #expect(map["axb"] == "ax$xb")
    #expect(map["a-gone"] == "a-")
    #expect(map["other"] == "other")
  }

  @Test("names are compared as bytes, and lines may end as on Windows")
  func spelling() throws {
    let map = try NameMap(text: "caf\u{E9}\tone\r\ncafe\u{301}\ttwo\r\n")
    #expect(map["caf\u{E9}"] == "one")
    #expect(map["cafe\u{301}"] == "two")
  }

  @Test(
    "an invalid rule is refused with its line",
    arguments: [
      ("a\tb\nc", "line 2: a rule must be two"), ("a\tb\tc", "line 1: a rule must be two"),
      ("\tb", "line 1: a rule must be two"), ("a\t", "line 1: a rule must be two"),
      ("a\tb\na\tc", "line 2: a second rule for 'a'"), ("re:(\tb", "line 1: '(' is not a valid"),
      ("re:(a)\t$2", "line 1: '$2', but the pattern has 1 groups"),
      ("re:a\t$x", "line 1: '$' must be followed"), ("re:a\tb$", "line 1: '$' must be followed"),
    ])
  func refused(text: String, message: String) {
    let error = #expect(throws: DiffError.self) { try NameMap(text: text) }
    #expect(error?.code == .usage)
    #expect(error?.message.hasPrefix(message) == true, "\(error?.message ?? "")")
  }

  @Test("create, apply, revert and verify find tensors by a map, which also names inserted ones")
  func operations() throws {
    let base = MemoryCheckpoint([vector("a", [1, 2]), vector("gone", [5])])
    let tuned = MemoryCheckpoint([vector("m/a", [1, 3]), vector("new", [7])])
    let map = try NameMap(text: "re:^(a|new|gone)$\tm/$1")
    var options = CreateOptions()
    options.names = map
    let made = try DiffReader(bytes: diffBytes(base, tuned, options))
    #expect(made.map(\.name) == ["a", "gone", "new"])
    let other = MemoryCheckpoint([vector("m/a", [1, 2]), vector("m/gone", [5])])
    let expected = MemoryCheckpoint([vector("m/a", [1, 3]), vector("m/new", [7])])
    var apply = ApplyOptions()
    apply.names = map
    #expect(same(try patched(other, [made], .apply, apply), expected))
    #expect(same(try patched(expected, [made], .revert, apply), other))
    #expect(try Diffs.verify(made, against: other, names: map).checkpoint == .base)
    #expect(try Diffs.verify(made, against: other).checkpoint == .different)
  }

  @Test("a final ':0' is ignored if no other name matches")
  func kerasSuffix() throws {
    let made = try diff(
      MemoryCheckpoint([vector("d/kernel:0", [1])]), MemoryCheckpoint([vector("d/kernel:0", [2])]))
    let bare = MemoryCheckpoint([vector("d.kernel", [1])])
    #expect(same(try patched(bare, [made]), MemoryCheckpoint([vector("d.kernel", [2])])))
    let both = MemoryCheckpoint([vector("d.kernel", [8]), vector("d.kernel:0", [1])])
    let expected = MemoryCheckpoint([vector("d.kernel", [8]), vector("d.kernel:0", [2])])
    #expect(same(try patched(both, [made]), expected))
    let two = MemoryCheckpoint([vector("d.kernel", [1]), vector("d/kernel", [1])])
    #expect(refusal(two, [made])?.code == .mismatch)
  }

  @Test("missing tensors are refused with the closest name; create reports similar names")
  func suggestions() throws {
    let base = MemoryCheckpoint([vector("rnn_1/rnn_1/bias", [1, 2]), vector("z", [1])])
    let tuned = MemoryCheckpoint([vector("rnn_1/rnn_1_3/bias", [1, 3]), vector("z", [1])])
    let made = try diff(
      base, MemoryCheckpoint([vector("rnn_1/rnn_1/bias", [1, 3]), vector("z", [1])]))
    let error = refusal(tuned, [made])
    #expect(error?.code == .mismatch)
    #expect(error?.message == "is not in the checkpoint")
    #expect(error?.remedy == .nameMap(closest: "rnn_1/rnn_1_3/bias"))
    let summary = try Diffs.create(from: base, to: tuned, into: MemorySink())
    #expect(summary.deleted == ["rnn_1/rnn_1/bias"])
    #expect(summary.inserted == ["rnn_1/rnn_1_3/bias"])
    #expect(summary.alike.map(\.tuned) == ["rnn_1/rnn_1_3/bias"])
  }

  @Test("edit distances by the definition", arguments: 0..<50)
  func distance(seed: Int) {
    var random = SplitMix64(seed: UInt64(seed))
    let words = (0..<2).map { _ in
      (0..<Int(random.next() % 7)).map { _ in UInt8(random.next() % 3) }
    }
    func slow(_ a: ArraySlice<UInt8>, _ b: ArraySlice<UInt8>) -> Int {
      guard let x = a.last, let y = b.last else { return a.count + b.count }
      return min(
        slow(a.dropLast(), b.dropLast()) + (x == y ? 0 : 1), slow(a.dropLast(), b) + 1,
        slow(a, b.dropLast()) + 1)
    }
    #expect(CloseNames.distance(words[0], words[1]) == slow(words[0][...], words[1][...]))
  }

  @Test("insertions and deletions without fingerprints are recognized by their stored elements")
  func wholeWithoutFingerprints() throws {
    let sink = MemorySink()
    let writer = try DiffWriter(sink)
    for (name, operation) in [("d", .delete), ("i", .insert)] as [(TensorName, DiffOperation)] {
      let bytes = littleEndian([Float](repeating: 3, count: 400_000))
      try writer.begin(DiffEntry(name, operation, .f32, Shape(vector: 400_000)))
      try writer.append(at: 0, every: bytes.span)
      try writer.end()
    }
    try writer.finish()
    let made = try DiffReader(bytes: sink.bytes)
    let threes = [Float](repeating: 3, count: 400_000)
    let (d, i) = (vector("d", threes), vector("i", threes))
    var wrong = d
    wrong.bytes[5] ^= 1
    #expect(same(try patched(MemoryCheckpoint([d]), [made]), MemoryCheckpoint([i])))
    #expect(try patched(MemoryCheckpoint([i]), [made]) == nil)
    #expect(refusal(MemoryCheckpoint([wrong]), [made])?.code == .wrongBase)
  }

  @Test("a finetune whose names carry suffixes, with a map of one line")
  func suffixes() throws {
    try Scratch.with { scratch in
      try copy(
        CheckpointFile.open(Repository.path + "/samples/textgenrnn_hacker_news.hdf5"),
        to: scratch("tuned.h5"), suffix: "_3")
      try expectSuffixes(
        Repository.path + "/samples/textgenrnn_weights.hdf5", scratch("tuned.h5"))
    }
  }

  @Test(
    "a real finetune whose names carry suffixes, with a map of one line",
    .enabled(if: Repository.haveShared, "needs ../shared/data"))
  func realSuffixes() throws {
    let folder = Repository.shared + "/keras/"
    try expectSuffixes(
      folder + "textgenrnn_weights.hdf5", folder + "reddit_apple_android.hdf5")
  }

  private func expectSuffixes(_ base: String, _ tuned: String) throws {
    try Scratch.with { scratch in
      let (base, tuned) = (try CheckpointFile.open(base), try CheckpointFile.open(tuned))
      let map = try NameMap(text: "re:^(\\w+)/(\\w+)/\t$1/$2_3/")
      var options = CreateOptions()
      options.names = map
      let sink = MemorySink()
      let summary = try Diffs.create(from: base, to: tuned, into: sink, options)
      #expect(summary.inserted.isEmpty && summary.deleted.isEmpty && summary.changedTensors == 10)
      let made = try DiffReader(bytes: sink.bytes)
      _ = try Diffs.apply([made], to: base, output: scratch("applied.h5"))
      let applied = try CheckpointFile.open(scratch("applied.h5"))
      for (mine, theirs) in zip(applied.tensors, tuned.tensors) {
        #expect(try applied.fingerprint(of: mine) == tuned.fingerprint(of: theirs))
      }
      var apply = ApplyOptions()
      apply.names = map
      _ = try Diffs.apply(
        [made], .revert, to: tuned, output: scratch("reverted.h5"), apply)
      let reverted = try CheckpointFile.open(scratch("reverted.h5"))
      for (mine, theirs) in zip(reverted.tensors, base.tensors) {
        #expect(try reverted.fingerprint(of: mine) == base.fingerprint(of: theirs))
      }
    }
  }
}
