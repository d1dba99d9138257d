import DiffFormat
import TensorCore

extension Diffs {
  /// Writes a diff with some of the tensors of another one, of any operation, as they are stored
  /// there, fingerprints included.
  ///
  /// - Parameters:
  ///   - patterns: names with wildcards, see `NamePattern`; none takes all.
  ///   - exceptions: what is left out of these.
  /// - Returns: how many tensors were taken.
  /// - Throws: `usage` if a pattern matches no tensor, or nothing is left; what reading and writing
  ///   throw.
  /// - Complexity: O(bytes taken), in memory of a page.
  public static func extract(
    _ diff: DiffReader, tensors patterns: [NamePattern], except exceptions: [NamePattern] = [],
    into sink: any ByteSink
  ) throws(DiffError) -> Int {
    let entries = Array(diff)
    for pattern in patterns + exceptions {
      guard entries.contains(where: { pattern.matches($0.name) }) else {
        let close = CloseNames.closest(to: pattern.text, among: entries.map(\.name))
        throw DiffError(
          .usage,
          "no tensor of the diff matches '\(pattern.text)'"
            + (close.map { "; there is '\($0)'" } ?? ""), path: diff.path)
      }
    }
    let taken = entries.filter { entry in
      (patterns.isEmpty || patterns.contains { $0.matches(entry.name) })
        && !exceptions.contains { $0.matches(entry.name) }
    }
    guard !taken.isEmpty else {
      throw DiffError(.usage, "no tensor is left to extract", path: diff.path)
    }
    var facts = diff.metadata
    facts["diffkit.extract.parent"] = diff.identity.description
    let writer = try DiffWriter(sink, metadata: facts)
    for entry in taken { try writer.copy(entry, of: diff) }
    try writer.finish()
    return taken.count
  }
}

/// A name in which `*` stands for any letters, none included, and `?` for one; '/' and '.' are the
/// same letter.
public struct NamePattern: Sendable, Hashable {
  /// As it was given.
  public let text: String
  private let letters: [Unicode.Scalar]

  /// A pattern.
  public init(_ text: String) {
    self.text = text
    letters = Self.letters(text)
  }

  /// Whether a name fits, from its beginning to its end.
  ///
  /// - Complexity: O(name · stars).
  public func matches(_ name: String) -> Bool {
    let name = Self.letters(name)
    var (at, place) = (0, 0)
    // Where the last star was, and how far it reaches.
    var star: (at: Int, place: Int)?
    while place < name.count {
      if at < letters.count, letters[at] == "*" {
        star = (at, place)
        at += 1
      } else if at < letters.count, letters[at] == "?" || letters[at] == name[place] {
        at += 1
        place += 1
      } else if let last = star {
        star = (last.at, last.place + 1)
        (at, place) = (last.at + 1, last.place + 1)
      } else {
        return false
      }
    }
    return letters[at...].allSatisfy { $0 == "*" }
  }

  private static func letters(_ text: String) -> [Unicode.Scalar] {
    text.unicodeScalars.map { $0 == "." ? "/" : $0 }
  }
}
