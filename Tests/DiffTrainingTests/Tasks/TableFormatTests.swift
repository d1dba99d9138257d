import DiffTraining
import StrictJSON
import SystemSupport
import TensorCore
import Testing
import TestSupport

/// Tables as pandas and Python's csv and JSON write them, from tables.py.
@Suite struct TableFormatTests {
  private static func file(_ name: String) -> String { Resource.path("tables/" + name) }

  private static func rows() throws -> [[String]] {
    let json = try JSONValue(parsing: File.contents(of: file("rows.json")))
    return (json.elements ?? []).map { ($0.elements ?? []).compactMap(\.text) }
  }

  @Test(
    "every writer's file holds the same texts and labels",
    arguments: [
      "pandas.csv", "pandas-index.csv", "pandas.tsv", "pandas-all.tsv", "pandas-nonnumeric.csv",
      "german.csv", "pandas.jsonl", "datasets.jsonl", "csv-excel.csv", "csv-excel-tab.tsv",
      "csv-unix.csv",
    ])
  func writers(name: String) throws {
    var options = TableOptions()
    options.texts = [.name("bewertung")]
    options.label = .name("urteil")
    let data = try TaskData(table: Self.file(name), options)
    let rows = try Self.rows()
    #expect(rows.count == 8)
    #expect(data.rows.map(\.first) == rows.map { $0[0] })
    #expect(data.description.kind == .classification(labels: ["gut", "mittel", "schlecht"]))
    let labels = ["gut", "mittel", "schlecht"]
    #expect(data.rows.map(\.target) == rows.map { .label(labels.firstIndex(of: $0[1]) ?? -1) })
    let first = try TaskData(table: Self.file("pandas.csv"), options)
    #expect(data.fingerprint == first.fingerprint)
    // Columns by number depend on the order, and on the column of the index.
    options.texts = [.number(name == "pandas-index.csv" ? 3 : 2)]
    options.label = nil
    #expect(try TaskData(table: Self.file(name), options).fingerprint == first.fingerprint)
  }

  @Test(
    "files that are not tables are refused by their format",
    arguments: [
      ("utf-16.csv", "UTF-16"), ("latin-1.csv", "line 2 is not valid UTF-8"),
      ("table.parquet", "Parquet"), ("table.xlsx", "Excel"), ("table.csv.gz", "gzip"),
    ])
  func foreignFiles(name: String, word: String) {
    let path = Self.file(name)
    #expect { try TaskData(table: path) } throws: {
      "\($0)".contains(word) && "\($0)".contains(name)
    }
  }

  private static func data(
    _ text: String, _ format: TableFormat, _ options: TableOptions = TableOptions()
  ) throws(DiffError) -> TaskData {
    var options = options
    options.format = format
    return try TaskData(table: Array(text.utf8), options)
  }

  @Test("text, label and ids are found by the names of a header, which is reported")
  func namedColumns() throws {
    let data = try Self.data("id,label,text,author\n1,x,\"a, b\",me\n2,y,c,you\n", .csv)
    #expect(data.rows.map(\.first) == ["a, b", "c"])
    #expect(data.description.summary.hasSuffix("'id'; text 'text', label 'label'"))
    let pairs = try Self.data("idx,premise,hypothesis,gold\n1,a,b,x\n2,c,d,y\n", .csv)
    #expect(pairs.rows.map(\.second) == ["b", "d"])
    let json = try Self.data(
      "{\"text\": \"a\", \"label\": 1, \"more\": {}}\n{\"label\": 0, \"text\": \"b\"}\n", .jsonl)
    #expect(json.rows.map(\.target) == [.label(1), .label(0)])
    #expect(json.rows.map(\.first) == ["a", "b"])
  }

  @Test("a first column of numbers or ids is not taken for a text")
  func ids() throws {
    for text in ["1\tgood\tx\n2\tbad\ty\n", "a-1\tgood one\tx\na-2\tbad one\ty\n"] {
      #expect { try Self.data(text, .tsv) } throws: {
        "\($0)".contains("column 1") && ($0 as? DiffError)?.remedy == .textColumn
      }
      var options = TableOptions()
      options.texts = [.number(2)]
      #expect(try Self.data(text, .tsv, options).rows.count == 2)
    }
    #expect(try Self.data("is it 1?\tgood\tx\nor 2?\tbad\ty\n", .tsv).description.isPair)
  }

  @Test(
    "invalid labels are refused with their line",
    arguments: [
      ("a\t1\nb\t\nc\t2\n", "line 2 has an empty label"),
      ("a\tx\nb\t  \nc\ty\n", "line 2 has an empty label"),
      ("a\t1.5\nb\t2\nc\tNaN\n", "line 3 has the label 'NaN' among numbers"),
      ("a\t1\nb\tnan\nc\t2\n", "line 2 has the label 'nan' among numbers"),
      (
        "a\tx\nb\ty\nc\tx \n",
        "line 3 has the label 'x ', but line 1 has 'x': they differ in white space"
      ),
      ("a\tx y\nb\tx  y\n", "they differ in white space"),
    ])
  func labels(text: String, message: String) {
    #expect { try Self.data(text, .tsv) } throws: { "\($0)".contains(message) }
  }

  @Test("a null label, a missing member and invalid JSON are refused")
  func brokenJSON() {
    let first = "{\"text\": \"a\", \"label\": 1}\n"
    for (second, message) in [
      ("{\"text\": \"b\", \"label\": null}", "line 2 has no 'label'"),
      ("{\"label\": 2}", "line 2 has no 'text'"), ("[1]", "line 2 is not a JSON object"),
      ("{\"text\": 'b'}", "line 2 is not valid JSON"),
      ("{\"text\": [\"b\"], \"label\": 0}", "line 2 has an array or an object in 'text'"),
    ] {
      #expect { try Self.data(first + second + "\n", .jsonl) } throws: {
        "\($0)".contains(message)
      }
    }
  }

  @Test("quotes: doubled, empty, at the end, never closed, followed by characters")
  func quotes() throws {
    let data = try Self.data(
      "\"a \"\"b\"\"\",x\r\n\"\",y\r\n5\" pipe,x\r\n\"c\r\nd\",\"y\"", .csv)
    #expect(data.rows.map(\.first) == ["a \"b\"", "", "5\" pipe", "c\r\nd"])
    #expect { try Self.data("a,x\n\"b,y\nc,x\n", .csv) } throws: {
      "\($0)".contains("line 2 has a quote that is never closed")
    }
    #expect { try Self.data("a,x\n\"b\" c,y\n", .csv) } throws: {
      "\($0)".contains("line 2 has more characters after the closing quote")
    }
    #expect { try Self.data("a,x\n\n\nb,y\n", .csv) } throws: {
      "\($0)".contains("line 2 is empty")
    }
  }

  /// Returns the texts of a table.
  private func texts(_ table: String) throws -> [String] {
    try Scratch.with { scratch in
      try write(Array(table.utf8), toFile: scratch("rows.tsv"))
      return try TaskData(table: scratch("rows.tsv")).rows.map(\.first)
    }
  }

  @Test("a TSV table whose texts contain quotes is not taken for a quoted one")
  func plainQuotes() throws {
    #expect(try texts("\"Stay\" he said\tx\nno\ty\n") == ["\"Stay\" he said", "no"])
    #expect(try texts("\"Stay\"\tx\nno\ty\n") == ["\"Stay\"", "no"])
    #expect(try texts("\"Stay\"\t\"x\"\n\"no\"\t\"y\"\n") == ["Stay", "no"])
    #expect(try texts("\"a\tb\"\tx\nno\ty\n") == ["a\tb", "no"])
    #expect(try texts("\"a\"\"b\"\tx\nsay \"no\"\ty\n") == ["\"a\"\"b\"", "say \"no\""])
  }

  @Test("rows that end where a read of the file ends are read like others")
  func parts() throws {
    try Scratch.with { scratch in
      // Around 256 KiB, the size of a read, with quotes and line breaks on either side.
      for shift in 0..<40 {
        let filler = String(repeating: "x", count: (1 << 18) - 20 + shift)
        let text = "\(filler),a\r\n\"q\"\"\r\n,\",b\r\n\"\",a\r\nlast,b"
        try write(Array(text.utf8), toFile: scratch("\(shift).csv"))
        let data = try TaskData(table: scratch("\(shift).csv"))
        #expect(data.rows.map(\.first) == [filler, "q\"\r\n,", "", "last"], "\(shift)")
      }
    }
  }
}
