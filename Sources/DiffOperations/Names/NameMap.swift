import SystemSupport
import TensorCore

/// Maps the names of tensors in a diff to their names in a checkpoint.
///
/// A file has one rule per line; empty lines and lines that begin with '#' are ignored:
///
///     name-in-the-diff<TAB>name-in-the-checkpoint
///     re:pattern<TAB>replacement
///
/// A whole name is looked up first. Otherwise every match of the first matching pattern is
/// replaced; in the replacement, `$1` … `$9` stand for the matches of the groups, `$0` for the
/// whole match, `$$` for `$`. A name that matches no rule is unchanged.
public struct NameMap: Sendable {
  private var names: [TensorName: TensorName] = [:]
  private var patterns: [Pattern] = []

  private struct Pattern: Sendable {
    let text: String
    let replacement: [Part]
  }

  /// A part of a replacement.
  private enum Part: Sendable, Hashable {
    case text(String)
    case group(Int)
  }

  /// True if there are no rules.
  var isEmpty: Bool { names.isEmpty && patterns.isEmpty }

  /// Creates a map without rules: every name is unchanged.
  public init() {}

  /// Reads a file of rules.
  ///
  /// - Throws: `io`, `limit`, or `usage` with the number of an invalid line.
  public init(_ path: String) throws(DiffError) {
    self = try File.parse(path, limit: 1 << 24) { bytes throws(DiffError) in
      guard let text = String(validating: bytes, as: UTF8.self) else {
        throw DiffError(.usage, "a name map must be UTF-8 text")
      }
      return try NameMap(text: text)
    }
  }

  /// Parses rules.
  ///
  /// - Throws: `usage` with the number of an invalid line.
  public init(text: String) throws(DiffError) {
    // By scalars: CR LF is a single character.
    for (index, raw) in text.unicodeScalars.split(
      separator: "\n", omittingEmptySubsequences: false
    ).enumerated() {
      let line = String(raw.last == "\r" ? raw.dropLast() : raw)
      if line.isEmpty || line.hasPrefix("#") { continue }
      let fields = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
      do { try add(fields) } catch { throw error.prefixed("line \(index + 1)") }
    }
  }

  private mutating func add(_ fields: [String]) throws(DiffError) {
    guard fields.count == 2, !fields[0].isEmpty, !fields[1].isEmpty || fields[0].hasPrefix("re:")
    else { throw DiffError(.usage, "a rule must be two names separated by a tab") }
    guard fields[0].hasPrefix("re:") else {
      let (name, other) = (TensorName(fields[0]), TensorName(fields[1]))
      guard names.updateValue(other, forKey: name) == nil else {
        throw DiffError(.usage, "a second rule for '\(fields[0])'")
      }
      return
    }
    let text = String(fields[0].dropFirst(3))
    let replacement = try Self.parts(of: fields[1])
    _ = try Self.regex(text)
    // An empty alternative always matches, with all groups of the pattern in its match.
    guard let groups = "".firstMatch(of: try Self.regex(text + "|"))?.output.count else { return }
    for case .group(let number) in replacement where number >= groups {
      throw DiffError(.usage, "'$\(number)', but the pattern has \(groups - 1) groups")
    }
    patterns.append(Pattern(text: text, replacement: replacement))
  }

  /// Returns the name in the checkpoint. O(rules · length) for patterns without much backtracking.
  public subscript(name: TensorName) -> TensorName {
    if let literal = names[name] { return literal }
    let text = name.description
    for pattern in patterns {
      // Compiled each time: a compiled regex cannot be shared between threads.
      guard let regex = try? Self.regex(pattern.text) else { continue }
      let matches = text.matches(of: regex)
      guard !matches.isEmpty else { continue }
      var out = ""
      var rest = text.startIndex
      for match in matches {
        out += text[rest..<match.range.lowerBound]
        for part in pattern.replacement {
          switch part {
          case .text(let text): out += text
          case .group(let number): out += match.output[number].substring ?? ""
          }
        }
        rest = match.range.upperBound
      }
      return TensorName(out + text[rest...])
    }
    return name
  }

  /// Refuses rules that give several tensors of one file one name.
  ///
  /// - Throws: `mismatch` with two of the tensors.
  /// - Complexity: O(names), and O(1) without rules.
  func requireDistinct(_ all: [TensorName], of path: String?) throws(DiffError) {
    guard !isEmpty else { return }
    var seen: [TensorName.Key: (name: TensorName, isRenamed: Bool)] = [:]
    for name in all.sorted() {
      let mapped = self[name]
      let isRenamed = mapped != name
      // Names that a file itself has twice are not the map's.
      guard let other = seen.updateValue((name, isRenamed), forKey: mapped.key),
        isRenamed || other.isRenamed
      else { continue }
      throw DiffError(
        .mismatch, "and '\(other.name)' are both called '\(mapped)' by the map", path: path,
        tensor: name)
    }
  }

  /// Returns the left sides of the rules that match none of `all`, as spelled in the file.
  public func unused(by all: [TensorName]) -> [String] {
    let unusedNames = names.keys.filter { !Set(all).contains($0) }.sorted()
    let texts = all.map(\.description)
    let unusedPatterns = patterns.filter { pattern in
      guard let regex = try? Self.regex(pattern.text) else { return true }
      return !texts.contains { $0.firstMatch(of: regex) != nil }
    }
    return unusedNames.map { "'\($0)'" } + unusedPatterns.map { "'re:\($0.text)'" }
  }

  private static func regex(_ text: String) throws(DiffError) -> Regex<AnyRegexOutput> {
    do { return try Regex(text).matchingSemantics(.unicodeScalar) } catch {
      throw DiffError(
        .usage, "'\(text)' is not a valid regular expression", cause: error)
    }
  }

  private static func parts(of replacement: String) throws(DiffError) -> [Part] {
    var parts: [Part] = []
    var rest = Substring(replacement)
    while let dollar = rest.firstIndex(of: "$") {
      parts.append(.text(String(rest[..<dollar])))
      rest = rest[rest.index(after: dollar)...]
      guard let sign = rest.first, sign == "$" || sign.wholeNumberValue != nil, sign.isASCII else {
        throw DiffError(.usage, "'$' must be followed by a digit or another '$'")
      }
      parts.append(sign == "$" ? .text("$") : .group(sign.wholeNumberValue ?? 0))
      rest = rest.dropFirst()
    }
    return parts + [.text(String(rest))]
  }
}
