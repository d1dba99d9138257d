import DiffFormat
import DiffOperations
import TensorCore
import Testing
import TestSupport

/// The merges that are refused, with the tensor and a remedy, and those that are accepted silently.
@Suite struct MergeRefusalTests {
  private let one = [1.0, 0, 2, 0]

  private func error(
    _ diffs: [DiffReader], weights: [Double]? = nil,
    _ change: (inout MergeOptions) -> Void = { _ in }
  ) -> DiffError? {
    var options = MergeOptions()
    change(&options)
    return #expect(throws: DiffError.self) { try merged(diffs, weights: weights, options) }
  }

  private func exact(_ operation: DiffOperation) throws -> DiffReader {
    let entry = DiffEntry("t", operation, .f32, Shape(vector: 4))
    let changes =
      operation == .delete
      ? Changes(whole: [UInt8](repeating: 1, count: 16), width: 4)
      : Changes([1], [1, 2, 3, 4])
    return try DiffReader(bytes: Contents([Contents.Tensor(entry, changes)]).encoded())
  }

  @Test("exact diffs are refused with a remedy", arguments: [DiffOperation.xor, .replace])
  func exactDiffs(_ operation: DiffOperation) throws {
    let error = error([try additiveDiff([("t", [4], one)]), try exact(operation)])
    #expect(error?.code == .unsupported)
    #expect(error?.tensor == "t")
    #expect(error?.remedy == .additiveDiff)
  }

  @Test("other bases, types and shapes are refused")
  func otherBases() throws {
    let diff = try additiveDiff([("t", [4], one)])
    let otherShape = try additiveDiff([("t", [2, 2], one)])
    #expect(error([diff, otherShape])?.code == .mismatch)
    #expect(error([diff, try exact(.delete)])?.code == .mismatch)

    var entry = try #require(diff.first)
    entry.base = Fingerprint(high: 1, low: 2)
    entry.pages = [:]
    let changes = Changes([3], [0, 0x3C])
    let other = try DiffReader(bytes: Contents([Contents.Tensor(entry, changes)]).encoded())
    let refusal = error([diff, other])
    #expect(refusal?.code == .wrongBase)
    #expect(refusal?.tensor == "t")
    #expect(refusal?.remedy == .allowOtherBase)
    var options = MergeOptions()
    options.allowsOtherBase = true
    let both = try merged([diff, other], options)
    #expect(try both.dense("t", count: 4) == [1, 0, 2, 1])
    #expect(both.first?.base == nil)
  }

  @Test("heads that differ are refused by name")
  func heads() throws {
    func diff(_ byte: UInt8) throws -> DiffReader {
      try additiveDiff(
        [("t", [4], one)], heads: [DiffFormatHead(name: "head", bytes: [byte, 2, 3])])
    }
    let (a, b) = (try diff(1), try diff(9))
    let refusal = error([a, b])
    #expect(refusal?.code == .mismatch)
    #expect(refusal?.tensor == "head")
    #expect(refusal?.remedy == .chooseHead)

    func head(_ diffs: [DiffReader], _ choice: HeadChoice) throws -> [UInt8]? {
      var options = MergeOptions()
      options.heads = choice
      let made = try merged(diffs, options)
      guard let entry = made.entry(named: "head") else { return nil }
      return try made.contents(of: entry).streams[.changes]?.values
    }
    #expect(try head([a, b], .first) == [1, 2, 3])
    #expect(try head([b, a], .first) == [9, 2, 3])
    #expect(try head([a, b], .drop) == nil)
    #expect(try head([a, try diff(1)], .refuse) == [1, 2, 3])
    #expect(try head([a], .drop) == [1, 2, 3])
  }

  @Test("a head is taken from the diff that is named")
  func namedHeads() throws {
    try Scratch.with { scratch in
      var paths: [String] = []
      for byte in [UInt8(1), 9] {
        let diff = try additiveDiff(
          [("t", [4], one)], heads: [DiffFormatHead(name: "head", bytes: [byte])])
        let path = scratch("task\(byte).diff")
        try write(try diff.bytes, toFile: path)
        paths.append(path)
      }
      let diffs = try DiffReader.open(paths)
      var options = MergeOptions()
      for name in ["task9", "task9.diff", paths[1]] {
        options.heads = .named(name)
        let made = try merged(diffs, options)
        let entry = try #require(made.entry(named: "head"))
        #expect(try made.contents(of: entry).streams[.changes]?.values == [9])
      }
      #expect(error(diffs) { $0.heads = .named("task7") }?.code == .mismatch)
    }
  }

  @Test("contradictory options are refused")
  func options() throws {
    let diff = try additiveDiff([("t", [4], one)])
    #expect(error([])?.code == .usage)
    #expect(error([diff], weights: [.infinity])?.code == .usage)
    #expect(error([diff], weights: [0]) { $0.method = .average }?.code == .usage)
    #expect(error([diff]) { $0.method = .modelStock }?.code == .usage)
    #expect(error([diff, diff], weights: [1, 2]) { $0.method = .sce }?.code == .usage)
    #expect(error([diff]) { $0.density = 0.5 }?.code == .usage)
    #expect(error([diff]) { $0.method = .dareTies }?.code == .usage)
    #expect(error([diff]) { ($0.method, $0.density) = (.ties, 1.5) }?.code == .usage)
    #expect(error([diff]) { ($0.method, $0.density) = (.della, 0.95) }?.code == .usage)
    #expect(error([diff]) { $0.rescale = .l1 }?.code == .usage)
    #expect(error([diff]) { $0.pruneTo = -1 }?.code == .usage)
    #expect(error([diff]) { $0.values = .f64 }?.code == .usage)
  }

  @Test("changes that are not finite are refused")
  func notFinite() throws {
    let changes = Changes([1], [0, 0x7C])
    let base = try #require(try additiveDiff([("t", [4], one)]).first?.base)
    let entry = DiffEntry("t", .add(values: .f16, scale: 0), .f32, Shape(vector: 4), base: base)
    let infinite = try DiffReader(bytes: Contents([Contents.Tensor(entry, changes)]).encoded())
    let refusal = error([infinite, try additiveDiff([("t", [4], one)])])
    #expect(refusal?.code == .unsupported)
    #expect(refusal?.tensor == "t")
    let tooLarge = error([try additiveDiff([("t", [4], one)])], weights: [1e300]) {
      $0.values = .f32
    }
    #expect(tooLarge?.code == .unsupported)
  }
}
