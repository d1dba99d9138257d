import DiffTraining
import TensorCore
import Testing
import TestSupport

@Suite struct TaskTableTests {
  private static func data(
    _ text: String, _ options: TableOptions = TableOptions()
  ) throws(DiffError) -> TaskData {
    try TaskData(table: Array(text.utf8), options)
  }

  @Test("texts and labels: a classification, its labels sorted")
  func classification() throws {
    let data = try Self.data("good\tpos\nbad\tneg\nfine\tpos\n")
    #expect(data.description.kind == .classification(labels: ["neg", "pos"]))
    #expect(!data.description.isPair)
    #expect(data.rows.map(\.target) == [.label(1), .label(0), .label(1)])
    #expect(data.rows.map(\.first) == ["good", "bad", "fine"])
    #expect(
      data.description.summary
        == "3 texts, classification, since the labels are: neg, pos; no header, since line 1 has "
        + "a label like the others")
  }

  @Test("whole numbers are classes in the order of numbers, fractions a regression")
  func numbers() throws {
    let classes = try Self.data((0..<24).map { "t\t\($0 % 12)\n" }.joined())
    #expect(
      classes.description.kind == .classification(labels: (0..<12).map(String.init)))
    let regression = try Self.data("a\tb\t1\nc\td\t-2.5\n")
    #expect(regression.description.kind == .regression)
    #expect(regression.description.isPair)
    #expect(
      regression.rows == [
        TaskRow("a", "b", target: .value(1)), TaskRow("c", "d", target: .value(-2.5)),
      ])
  }

  @Test("a header is detected, specified, or required by names")
  func headers() throws {
    let text = "id\tsentence\tlabel\n7\thello\t1\n8\tthere\t0\n"
    var options = TableOptions()
    options.texts = [.name("sentence")]
    #expect(try Self.data(text, options).rows.map(\.first) == ["hello", "there"])
    options.texts = [.number(2)]
    #expect(try Self.data(text, options).rows.count == 2)
    options.hasHeader = false
    #expect(try Self.data(text, options).rows.count == 3)
    let scores = try Self.data("text\thow\na\t1.5\nb\t2\n")
    #expect(scores.rows.count == 2)
    #expect(scores.description.summary.contains("a header, since all labels but 'how'"))
  }

  @Test("line endings, byte order marks and headers do not change the data or the fingerprint")
  func normalization() throws {
    let plain = try Self.data("a b\tx\nc\ty\n")
    let odd = try Self.data("\u{FEFF}text\tlabel\r\na b\tx\r\nc\ty\r\n\r\n")
    #expect(odd.rows == plain.rows && odd.fingerprint == plain.fingerprint)
    #expect(odd.description.notes.count == 2)
    #expect(
      plain.fingerprint == XXH3.hash128(Array("a b\tx\nc\ty\n".utf8).span))
    #expect(try Self.data("a b\tx\nd\ty\n").fingerprint != plain.fingerprint)
  }

  @Test("data without labels, and data read with the labels of other data")
  func givenKinds() throws {
    var options = TableOptions()
    options.isLabelled = false
    options.kind = .classification(labels: ["no", "yes"])
    let texts = try Self.data("one\ntwo\n", options)
    #expect(texts.rows == [TaskRow("one"), TaskRow("two")])
    options.isLabelled = true
    #expect(try Self.data("a\tyes\n", options).rows[0].target == .label(1))
  }

  @Test(
    "damaged tables are refused with the line",
    arguments: [
      ("", "no rows: the file is empty"),
      ("\n\n", "no rows: the file is empty"),
      ("a\t1\nb\n", "line 2 has 1 column where line 1 has 2"),
      ("a\t1\n\nb\t0\n", "line 2 is empty"),
      ("a\t1\nb\0\t0\n", "line 2 contains a NUL byte"),
      ("a\t1\nb\t1\n", "all labels are '1': there is nothing to learn"),
      ("text\tlabel\n", "no rows after the header"),
      ("a\n", "1 column, of which 0 would be texts"),
      ("a\tb\tc\t0\n", "4 columns, of which 3 would be texts"),
      ((0..<50).map { "a\tlabel\($0)\n" }.joined(), "50 labels in 50 rows"),
    ])
  func refusals(text: String, message: String) {
    #expect { try Self.data(text) } throws: { "\($0)".contains(message) }
  }

  @Test("invalid UTF-8, wrong columns and foreign labels are refused")
  func moreRefusals() {
    #expect { try TaskData(table: Array("a\t1\n".utf8) + [0xFF, 0x09, 0x30]) } throws: {
      "\($0)".contains("line 2 is not valid UTF-8")
    }
    var options = TableOptions()
    options.label = .number(3)
    #expect { try Self.data("a\t1\n", options) } throws: { "\($0)".contains("no column 3") }
    options.label = .name("x")
    #expect { try Self.data("a\tb\nc\td\n", options) } throws: {
      "\($0)".contains("no column 'x': a, b")
    }
    options = TableOptions()
    options.kind = .classification(labels: ["0", "1"])
    #expect { try Self.data("a\t1\nb\t2\n", options) } throws: {
      "\($0)".contains("line 2 has label '2', which is not one of: 0, 1")
    }
    options.kind = .regression
    #expect { try Self.data("a\t1\nb\tx\nc\t2\n", options) } throws: {
      "\($0)".contains("line 2 has label 'x' where a number is expected")
    }
  }

  @Test("rows of each class are counted, and a class of a single row is noted with its line")
  func balance() throws {
    let data = try Self.data((0..<20).map { "t\t\($0 % 2)\n" }.joined() + "t\tx\nu\t1\n")
    #expect(data.description.balance == "rows of each class: 0: 10, 1: 11, x: 1")
    #expect(
      data.description.notes == [
        "line 21 is the only row with the label 'x': check that it is not a typing error"
      ])
    // Few rows, and data that are read with the labels of others, have no note.
    #expect(try Self.data("a\tx\nb\ty\nc\ty\n").description.notes == [])
    var options = TableOptions()
    options.kind = .classification(labels: ["0", "1", "x"])
    let dev = try Self.data("a\t0\nb\tx\n", options).description
    #expect(dev.balance == nil && dev.notes == [])
    let many = try Self.data(
      (0..<14).map { label in
        (0...label).map { _ in "t\tlabel\(label + 10)\n" }.joined()
      }.joined())
    let balance = try #require(many.description.balance)
    #expect(balance.hasPrefix("rows of each class: label23: 14, label22: 13, "))
    #expect(balance.hasSuffix(", label12: 3, … (2 more with 2 to 1)"))
    let empty = try Self.data("a\tx\n\ty\n").description
    #expect(empty.notes == ["1 text is empty"] && empty.summary.hasPrefix("2 texts, "))
  }

  @Test("a column of ids is neither a text nor a label; values of a regression are labels")
  func ids() throws {
    func table(_ row: (Int) -> String) -> String { (0..<30).map { row($0) + "\n" }.joined() }
    var options = TableOptions()
    #expect { try Self.data(table { "\($0 * 7)\t\($0 % 2)" }) } throws: {
      "\($0)".contains("column 1 has another number in each row")
        && ($0 as? DiffError)?.remedy == .textColumn
    }
    // Rows to evaluate are read as those of the training were.
    options.kind = .classification(labels: ["0", "1"])
    #expect(try Self.data(table { "\($0 * 7)\t\($0 % 2)" }, options).description.notes == [])
    // A column that the user names is noted, not refused.
    options = TableOptions()
    options.label = .number(1)
    let chosen = try Self.data(table { "\($0 + 100)\tgood" }, options).description
    #expect(chosen.kind == .regression)
    #expect(chosen.notes.count == 1 && chosen.notes[0].contains("are these ids"))
    options = TableOptions()
    options.texts = [.number(1)]
    let notes: [(row: (Int) -> String, note: String)] = [
      ({ "\($0 / 2)\tgood\t\($0 % 2)" }, "all texts in column 1 are numbers"),
      ({ "\($0 * 7)\tgood\t\($0 % 2)" }, "all texts in column 1 are numbers"),
      ({ "u\($0)\tgood\t\($0 % 2)" }, "one word with digits"),
      ({ "good\tx\t\(($0 * 7919) % 30011)" }, "column 3 has another whole number in each row"),
      (
        { "good\tx\t\(($0 * 7919) % 30011 + (1 << 33))" },
        "column 3 has another whole number in each row"
      ),
    ]
    for (row, note) in notes {
      let found = try Self.data(table(row), options).description.notes
      #expect(found.count == 1 && found[0].contains(note), "\(found)")
    }
    for text in [
      table { "good\tx\t\($0 + 100)" }, table { "good\tx\t\($0 + (1 << 40))" },
      "text\tmore\tid\n" + table { "good\tx\t\(($0 * 7919) % 30011)" },
    ] {
      #expect { try Self.data(text, options) } throws: {
        "\($0)".contains("these are no labels") && ($0 as? DiffError)?.remedy == .labelColumn
      }
    }
    #expect { try Self.data((1...12).map { "t\t\($0)\n" }.joined()) } throws: {
      "\($0)".contains("12 labels in 12 rows")
    }
    for values in [table { "good\tx\t\(Double($0) / 4)" }, table { "good\tx\t\($0 % 25)" }] {
      let data = try Self.data(values, options).description
      #expect(data.kind == .regression && data.notes == [])
    }
  }

  @Test("the task in samples is detected correctly")
  func sampleTask() throws {
    let data = try TaskData(table: Repository.path + "/samples/sms-spam/train.tsv")
    #expect(data.description.kind == .classification(labels: ["ham", "spam"]))
    #expect(!data.description.isPair && data.rows.count == 4460)
  }

  @Test(
    "the real tasks are detected correctly",
    .enabled(if: Repository.haveShared, "needs ../shared/data"))
  func realTasks() throws {
    for (name, kind, isPair, count) in [
      ("cola", TaskDescription.Kind.classification(labels: ["0", "1"]), false, 7696),
      ("mrpc", .classification(labels: ["0", "1"]), true, 3669),
      ("sms-spam", .classification(labels: ["ham", "spam"]), false, 4460),
      ("subj", .classification(labels: ["objective", "subjective"]), false, 8000),
      ("vader-movie", .regression, false, 8484),
    ] {
      let data = try TaskData(table: Repository.shared + "/tasks/\(name)/train.tsv")
      #expect(data.description.kind == kind, "\(name)")
      #expect(data.description.isPair == isPair && data.rows.count == count, "\(name)")
    }
  }
}
