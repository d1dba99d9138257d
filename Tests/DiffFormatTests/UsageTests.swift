import DiffFormat
import TensorCore
import Testing
import TestSupport

/// Errors of the caller are refused with `usage`, before an invalid file is written.
@Suite struct UsageTests {
  private func code(_ body: (DiffWriter) throws -> Void) throws -> DiffError.Code? {
    let writer = try DiffWriter(MemorySink())
    return #expect(throws: DiffError.self) { try body(writer) }?.code
  }

  private func code(
    _ entry: DiffEntry, _ calls: [(start: UInt64, offsets: [UInt32])]
  ) throws -> DiffError.Code? {
    try code { writer in
      try writer.begin(entry)
      for call in calls {
        let values = [UInt8](repeating: 1, count: call.offsets.count * entry.valueWidth)
        try writer.append(ChangeRun(at: call.start, call.offsets, values))
      }
      try writer.end()
    }
  }

  private let tens = shape(10)

  @Test("names ascend by bytes", arguments: [("b", "a"), ("a", "a"), ("ab", "a"), ("\u{E9}", "z")])
  func names(first: TensorName, second: TensorName) throws {
    #expect(
      try code { writer in
        try writer.begin(DiffEntry(first, .xor, .u8, tens))
        try writer.end()
        try writer.begin(DiffEntry(second, .xor, .u8, tens))
      } == .usage)
  }

  @Test("names have 1 to 32 768 bytes")
  func nameLengths() throws {
    for name in ["", "\(String(repeating: "é", count: 16_385))"] as [TensorName] {
      #expect(try code { try $0.begin(DiffEntry(name, .xor, .u8, tens)) } == .usage)
    }
    let longest = DiffEntry("\(String(repeating: "é", count: 16_384))", .xor, .u8, tens)
    let bytes = try Contents([.init(longest)]).encoded()
    #expect(try DiffReader(bytes: bytes).entry(named: longest.name) == longest)
  }

  @Test("positions ascend, in a call and from one to the next")
  func order() throws {
    let entry = DiffEntry("w", .xor, .u16, tens)
    for calls: [(UInt64, [UInt32])] in [
      [(0, [3, 3])], [(0, [3, 2])], [(0, [3]), (3, [0])], [(4, [0]), (0, [3])],
      [(0, [0, 9, 5])], [(9, [0]), (0, [0])],
    ] {
      #expect(try code(entry, calls) == .usage, "\(calls)")
    }
  }

  @Test("positions ascend also where a page is full")
  func orderBetweenPages() throws {
    let entry = DiffEntry("w", .xor, .u8, shape(1 << 40))
    let page = Array(0..<32_768 as Range<UInt32>)
    #expect(try code(entry, [(0, page), (32_767, [0])]) == .usage)
    #expect(try code(entry, [(0, page), (5, [0])]) == .usage)
    #expect(try code(entry, [(1 << 33, [0]), (5, [0])]) == .usage)
    #expect(try code(entry, [(1 << 39, page), ((1 << 39) - (1 << 32), [1])]) == .usage)
  }

  @Test("positions are inside of the tensor")
  func outside() throws {
    let entry = DiffEntry("w", .xor, .u8, tens)
    for calls: [(UInt64, [UInt32])] in [
      [(10, [0])], [(0, [10])], [(5, [5])], [(.max, [0])], [(.max, [1])], [(0, [.max])],
      [(0, [0, 1 << 31, 5])],
    ] {
      #expect(try code(entry, calls) == .usage, "\(calls)")
    }
    #expect(try code(DiffEntry("e", .xor, .u8, shape(0)), [(0, [0])]) == .usage)
    let remainder = DiffEntry("r", .reshape(to: shape(11)), .u8, tens)
    #expect(try code(remainder, [(10, [0])]) == .usage)
  }

  @Test("whole tensors are whole")
  func whole() throws {
    for operation in [DiffOperation.insert, .delete] {
      let entry = DiffEntry("w", operation, .u8, tens)
      for offsets: [UInt32] in [
        [], [0], Array(0..<9), Array(1..<10), [0, 9], [0, 1, 2, 3, 4, 5, 6, 7, 9],
      ] {
        #expect(try code(entry, [(0, offsets)]) == .usage, "\(operation) \(offsets)")
      }
    }
  }

  @Test("the remainders of a reshape are whole, and its streams in order")
  func streams() throws {
    let entry = DiffEntry("w", .reshape(to: shape(8)), .u8, shape(6))
    func append(_ writer: DiffWriter, _ count: Int) throws {
      try writer.append(Changes(whole: [UInt8](repeating: 0, count: count), width: 1), width: 1)
    }
    #expect(
      try code {
        try $0.begin(entry); try $0.end()
      } == .usage)
    #expect(
      try code {
        try $0.begin(entry)
        try $0.begin(.newRemainder)
        try append($0, 1)
        try $0.end()
      } == .usage)
    #expect(
      try code {
        try $0.begin(entry)
        try $0.begin(.newRemainder)
        try append($0, 2)
        try $0.begin(.oldRemainder)
      } == .usage)
    #expect(
      try code {
        try $0.begin(entry)
        try $0.begin(.changes)
      } == .usage)
    #expect(
      try code {
        try $0.begin(DiffEntry("w", .xor, .u8, tens))
        try $0.begin(.newRemainder)
      } == .usage)
  }

  @Test("only fingerprints of the operation are accepted")
  func fingerprints() throws {
    let print = Fingerprint(high: 1, low: 2)
    let whole = Changes(whole: Array(0..<10), width: 1)
    func entry(_ operation: DiffOperation) -> DiffEntry {
      DiffEntry("w", operation, operation.name == "add" ? .f16 : .u8, tens)
    }
    func refuse(
      _ operation: DiffOperation, base: Fingerprint? = nil, result: Fingerprint? = nil,
      old: Fingerprint? = nil
    ) throws {
      #expect(
        try code {
          try $0.begin(entry(operation))
          if operation == .insert || operation == .delete { try $0.append(whole, width: 1) }
          try $0.end(base: base, result: result, old: old)
        } == .usage)
    }
    try refuse(.insert, base: print)
    try refuse(.insert, old: print)
    try refuse(.delete, result: print)
    try refuse(.delete, old: print)
    try refuse(.add(values: .f16, scale: 0), old: print)
    var reshape = DiffEntry("w", .reshape(to: shape(10, 1)), .u8, shape(0))
    reshape.old = print
    #expect(
      try code {
        try $0.begin(reshape); try $0.end()
      } == .usage)
  }

  @Test("operations are checked against types, scales and shapes")
  func operations() throws {
    func begin(_ operation: DiffOperation, _ type: ElementType) throws -> DiffError.Code? {
      try code { try $0.begin(DiffEntry("w", operation, type, tens)) }
    }
    #expect(try begin(.add(values: .f16, scale: 0), .i32) == .usage)
    #expect(try begin(.add(values: .f16, scale: 0), .bits16) == .usage)
    #expect(try begin(.add(values: .f64, scale: 0), .f64) == .usage)
    for scale in [-127, 128, .min, .max] {
      #expect(try begin(.add(values: .f16, scale: scale), .f32) == .usage)
    }
    for scale in [-1023, 1024] {
      #expect(try begin(.add(values: .f16, scale: scale), .f64) == .usage)
    }
    #expect(try begin(.reshape(to: tens), .f32) == .usage)
  }

  @Test(
    "metadata keys are 1 to 255 bytes of printable ASCII",
    arguments: ["", " ", "a b", "ä", "\u{7F}", "\n", String(repeating: "k", count: 256)])
  func keys(key: String) throws {
    #expect(
      try code { writer in
        writer.metadata[key] = "value"
        try writer.finish()
      } == .usage)
  }
}
