import DiffFormat
import DiffOperations
import TensorCore
import Testing
import TestSupport

@Suite struct NameTests {
  private func checkpoint(_ names: [(TensorName, Float)]) -> MemoryCheckpoint {
    MemoryCheckpoint(names.map { vector($0.0, [$0.1, 1]) })
  }

  private func mismatch(_ body: () throws -> Void) -> Bool {
    #expect(throws: DiffError.self, performing: body)?.code == .mismatch
  }

  @Test("'/' and '.' are the same separator when names are matched")
  func separators() throws {
    let made = try diff(checkpoint([("a/b.c", 1)]), checkpoint([("a/b.c", 2)]))
    for name in ["a/b.c", "a.b.c", "a.b/c", "a/b/c"] as [TensorName] {
      #expect(same(try patched(checkpoint([(name, 1)]), [made]), checkpoint([(name, 2)])))
    }
    let crossed = try diff(checkpoint([("a/b", 1)]), checkpoint([("a.b", 2)]))
    #expect(crossed.map(\.name) == ["a/b"])
    #expect(same(try patched(checkpoint([("a/b", 1)]), [crossed]), checkpoint([("a/b", 2)])))
  }

  @Test("nothing else is the same: case, and the two spellings of an accented letter")
  func otherSpellings() throws {
    let made = try diff(checkpoint([("caf\u{E9}", 1)]), checkpoint([("caf\u{E9}", 2)]))
    for name in ["cafe\u{301}", "CAF\u{C9}", "cafe"] as [TensorName] {
      #expect(refusal(checkpoint([(name, 1)]), [made])?.code == .mismatch)
    }
  }

  @Test(
    "two spellings of an accented letter are two tensors, in all modes",
    arguments: [
      CreateMode.xor, .replace, .add(.all, values: .f16),
    ])
  func twoSpellings(mode: CreateMode) throws {
    let base = checkpoint([("caf\u{E9}", 1), ("cafe\u{301}", 1)])
    let tuned = checkpoint([("caf\u{E9}", 2), ("cafe\u{301}", 65537)])
    let made = try diff(base, tuned, mode)
    #expect(made.count == 2)
    #expect(same(try patched(base, [made]), tuned))
    let coming = try diff(checkpoint([("caf\u{E9}", 1)]), tuned, mode)
    #expect(same(try patched(checkpoint([("caf\u{E9}", 1)]), [coming]), tuned))
  }

  @Test("a name that matches two tensors is refused, unless it is exactly one of theirs")
  func ambiguous() throws {
    let made = try diff(checkpoint([("a/b", 1)]), checkpoint([("a/b", 2)]))
    let both = checkpoint([("a/b", 1), ("a.b", 1)])
    #expect(same(try patched(both, [made]), checkpoint([("a/b", 2), ("a.b", 1)])))
    let three = try diff(checkpoint([("a/b/c", 1)]), checkpoint([("a/b/c", 2)]))
    let error = refusal(checkpoint([("a.b/c", 1), ("a/b.c", 1)]), [three])
    #expect(error?.code == .mismatch)
    #expect(error?.tensor == "a/b/c")
  }

  @Test("a diff with two names that are the same when matched is refused")
  func ambiguousDiff() throws {
    let sink = MemorySink()
    let writer = try DiffWriter(sink)
    let tensor = vector("", [1, 1])
    for name in ["a.b", "a/b"] as [TensorName] {
      try writer.begin(DiffEntry(name, .xor, .f32, tensor.shape, base: tensor.fingerprint))
      try writer.append(ChangeRun(at: 0, [1], [1, 0, 0, 0]))
      try writer.end()
    }
    try writer.finish()
    let made = try DiffReader(bytes: sink.bytes)
    #expect(refusal(checkpoint([("a.b", 1), ("a/b", 1)]), [made])?.code == .mismatch)
  }

  @Test("create refuses names whose diff could not be applied")
  func createAmbiguous() {
    let both = checkpoint([("a.b", 1), ("a/b", 1)])
    // Two tensors of the base are one of the tuned checkpoint's.
    for name in ["a.b", "a/b"] as [TensorName] {
      #expect(mismatch { _ = try diff(both, checkpoint([(name, 2)])) })
      #expect(mismatch { _ = try diff(checkpoint([(name, 2)]), both) })
    }
    // Both change: their entries could not be distinguished when the diff is applied.
    #expect(mismatch { _ = try diff(both, checkpoint([("a.b", 2), ("a/b", 2)])) })
  }

  @Test("names of unchanged tensors may be ambiguous")
  func untouched() throws {
    let base = checkpoint([("a.b", 1), ("a/b", 1), ("w", 1)])
    let tuned = checkpoint([("a.b", 1), ("a/b", 1), ("w", 2)])
    let made = try diff(base, tuned)
    #expect(same(try patched(base, [made]), tuned))
    let one = checkpoint([("a.b", 1), ("a/b", 3), ("w", 1)])
    #expect(same(try patched(base, [diff(base, one)]), one))
  }

  @Test("an alias is the tensor itself")
  func aliases() throws {
    var tensor = vector("first", [1, 1])
    tensor.aliases = ["second"]
    let base = MemoryCheckpoint([tensor])
    let made = try diff(checkpoint([("second", 1)]), checkpoint([("second", 2)]))
    let result = try #require(try patched(base, [made]))
    #expect(result.bytes("first") == vector("", [2, 1]).bytes)
  }

  @Test("two entries for one tensor with two names are refused, not applied over each other")
  func twoEntriesForAliases() throws {
    var tensor = vector("first", [1, 1])
    tensor.aliases = ["second"]
    let made = try diff(
      checkpoint([("first", 1), ("second", 1)]), checkpoint([("first", 2), ("second", 3)]))
    #expect(refusal(MemoryCheckpoint([tensor]), [made])?.code == .mismatch)
  }

  @Test(
    "names may hold anything",
    arguments: [
      " ", "\u{1B}[31m", "a\nb", "..", "../../etc/passwd", "C:\\x", "\u{0}", "🙂",
      "\(String(repeating: "long", count: 8192))",
    ])
  func strange(name: TensorName) throws {
    let (base, tuned) = (checkpoint([(name, 1)]), checkpoint([(name, 2)]))
    let made = try diff(base, tuned)
    #expect(made[0].name == name)
    #expect(same(try patched(base, [made]), tuned))
  }
}
