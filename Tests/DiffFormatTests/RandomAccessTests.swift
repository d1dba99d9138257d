import DiffFormat
import SystemSupport
import TensorCore
import Testing
import TestSupport

@Suite struct RandomAccessTests {
  /// Three tensors; `b` has four pages, one of them full.
  private func sample() throws -> [UInt8] {
    var random = SplitMix64(seed: 3)
    let positions = (0..<40_000).map { UInt64($0 * 5) } + [1 << 33, 1 << 35]
    return try Contents([
      .init(DiffEntry("a", .insert, .u16, shape(70)), Changes(whole: random.bytes(140), width: 2)),
      .init(
        DiffEntry("b", .xor, .u8, shape(1 << 36)),
        Changes(positions, random.bytes(positions.count))),
      .init(DiffEntry("c", .replace, .f32, shape(9)), Changes([3], [1, 2, 3, 4])),
    ]).encoded()
  }

  @Test("opening reads header, footer and index, each once")
  func opening() throws {
    let bytes = try sample()
    let source = CountingSource(bytes)
    let reader = try DiffReader(source)
    let size = UInt64(bytes.count)
    let index = size - 48 - reader.indexSize
    #expect(source.takeReads() == [0..<32, size - 48..<size, index..<size - 48])
    #expect(reader.map(\.name) == ["a", "b", "c"])
    #expect(reader.entry(named: "b")?.pages[.changes]?.count == 4)
    #expect(source.takeReads() == [])
  }

  @Test("a tensor is read without the others, a page without its neighbors")
  func reading() throws {
    let source = CountingSource(try sample())
    let reader = try DiffReader(source)
    _ = source.takeReads()
    for entry in reader {
      let pages = try #require(entry.pages[.changes])
      _ = try reader.contents(of: entry)
      #expect(source.takeReads() == pages.map { $0.offset..<$0.offset + $0.storedSize })
      let last = try #require(pages.last)
      var walk = reader.pages(of: entry)
      walk.seek(to: last.start)
      let isThere = try walk.next() != nil
      #expect(isThere)
      #expect(source.takeReads() == [last.offset..<last.offset + last.storedSize])
    }
    _ = try reader.encodings(of: reader[1])
    #expect(source.takeReads().allSatisfy { $0.count == 1 })
  }

  @Test("seeking finds the page that holds a position, or the next one")
  func seeking() throws {
    let reader = try DiffReader(bytes: sample())
    let entry = reader[1]
    let all = try reader.contents(of: entry).streams[.changes]?.positions ?? []
    let pages = try #require(entry.pages[.changes])
    let edges = pages.flatMap { [$0.start, $0.end &- 1, $0.end] }
    var walk = reader.pages(of: entry)
    // Backwards too: a reader may be used again.
    for position in [0, 1, 4, 5, 99_998, 1 << 32, 1 << 34, 1 << 35] + edges + edges.reversed() {
      walk.seek(to: position)
      let expected = all.first { $0 >= position }
      guard let page = try walk.next() else {
        #expect(expected == nil, "\(position)")
        continue
      }
      let end = page.end
      #expect(end > position)
      var changes = Changes()
      changes.append(page)
      #expect(changes.positions.first { $0 >= position } == expected, "\(position)")
    }
    walk.seek(to: .max)
    let isPast = try walk.next() == nil
    #expect(isPast)
  }

  @Test("entries are found by their name, byte for byte")
  func named() throws {
    let names: [TensorName] = [
      "a", "aa", "ab", "b/c", "b.c", "e\u{301}", "\u{E9}", "z\u{0}", "\u{1F9EA}",
    ]
    let sorted = names.sorted()
    let reader = try DiffReader(
      bytes: Contents(sorted.map { .init(DiffEntry($0, .xor, .u8, .scalar)) }).encoded())
    for (place, name) in sorted.enumerated() {
      #expect(reader.entry(named: name).map { Array($0.name.utf8) } == Array(name.utf8))
      #expect(Array(reader[place].name.utf8) == Array(name.utf8))
    }
    for absent in ["", "A", "aaa", "b", "b c", "e", "z", "\u{10FFFF}"] as [TensorName] {
      #expect(reader.entry(named: absent) == nil)
    }
  }

  @Test("else by names that differ in separators, then in a final ':0', unless ambiguous")
  func similar() throws {
    let names: [TensorName] = [
      "a.b", "a/b", "c/d.e", "f.g", "f/g:0", "h:0", "i/j.k", "i.j/k", "\u{E9}.x", "e\u{301}.x",
    ]
    let reader = try DiffReader(
      bytes: Contents(names.sorted().map { .init(DiffEntry($0, .xor, .u8, .scalar)) }).encoded())
    let found: [(TensorName, TensorName?)] = [
      ("a.b", "a.b"), ("a/b", "a/b"), ("a/b:0", nil), ("c.d.e", "c/d.e"), ("c.d.e:0", "c/d.e"),
      ("f/g", "f.g"), ("f.g:0", "f/g:0"), ("h", "h:0"), ("h:00", nil), ("i/j/k", nil),
      ("i/j.k", "i/j.k"), ("\u{E9}/x", "\u{E9}.x"), ("e\u{301}/x", "e\u{301}.x"), ("e/x", nil),
    ]
    for (name, entry) in found { #expect(reader.entry(named: name)?.name == entry, "\(name)") }
  }

  @Test("threads share a reader")
  func threads() throws {
    let reader = try DiffReader(bytes: sample())
    let expected = try reader.contents()
    try parallelFor(60) { (index) throws(DiffError) in
      let entry = reader[index % reader.count]
      let contents = try reader.contents(of: entry)
      #expect(contents.streams == expected.tensors[index % reader.count].streams)
    }
  }

  @Test("a file on disk reads as in memory, and damage names its path")
  func files() throws {
    let bytes = try sample()
    let expected = try DiffReader(bytes: bytes).contents()
    try Scratch.with { scratch in
      let path = scratch("file.diff")
      do {
        let abandoned = try FileSink(path)
        try expected.write(to: abandoned)
      }
      #expect(throws: DiffError.self) { try DiffReader(path) }
      let sink = try FileSink(path)
      try expected.write(to: sink)
      try sink.commit()
      let reader = try DiffReader(path)
      #expect(try reader.contents() == expected)
      #expect(reader.size == UInt64(bytes.count) && reader.path == path)
      #expect(try DiffReader.isDiff(path))
      #expect(#expect(throws: DiffError.self) { try FileSink(path) }?.code == .exists)
      let cut = try FileSink(path, overwriting: true)
      try cut.write(bytes.span.extracting(0..<50))
      try cut.commit()
      let error = #expect(throws: DiffError.self) { try DiffReader(path) }
      #expect(error?.code == .truncated && error?.path == path)
    }
  }
}
