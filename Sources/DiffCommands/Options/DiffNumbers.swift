import DiffOperations
import TensorCore

/// Numbers for the diffs of a merge, `0.5,1`, with exceptions for some tensors,
/// `encoder.layer.0-5.*=0.3`.
struct DiffNumbers {
  private struct Rule {
    let text: String
    let patterns: [NamePattern]
    let numbers: [Double]
  }

  private let option: String
  private let usual: [Double]?
  private let rules: [Rule]
  /// All arguments as text; nil if there are no exceptions.
  let text: String?

  /// - Throws: `usage` for a text of neither form.
  init(_ texts: [String], option: String) throws(DiffError) {
    var usual: [Double]?
    var rules: [Rule] = []
    for text in texts {
      let equals = text.lastIndex(of: "=")
      let list = equals.map { text[text.index(after: $0)...] } ?? text[...]
      let numbers = list.split(separator: ",", omittingEmptySubsequences: false)
        .map { Double($0.filter { $0 != " " }) }
      guard !numbers.contains(nil) else {
        throw DiffError(
          .usage, "'\(text)' is neither a list of numbers nor PATTERN=NUMBERS, for \(option)")
      }
      if let equals {
        let pattern = String(text[..<equals])
        rules.append(
          Rule(
            text: pattern, patterns: try expanded(pattern).map { NamePattern($0) },
            numbers: numbers.compactMap { $0 }))
      } else if usual == nil {
        usual = numbers.compactMap { $0 }
      } else {
        throw DiffError(.usage, "\(option) takes one list without a pattern; '\(text)' is a second")
      }
    }
    self.option = option
    self.usual = usual
    self.rules = rules
    text = rules.isEmpty ? nil : texts.joined(separator: " ")
  }

  /// Returns a setting for each of `count` diffs that change these tensors. The first pattern that
  /// matches a name applies.
  func settings(
    _ count: Int, tensors: [TensorName], usual otherwise: Double
  ) throws(DiffError) -> [MergeSetting] {
    let usual = usual ?? [Double](repeating: otherwise, count: count)
    guard usual.count == count else {
      let noun = String(option.drop { $0 == "-" })
      throw DiffError(.usage, "\(usual.count) \(noun) for \(count) diffs; give one for each")
    }
    var settings = usual.map { MergeSetting($0) }
    var fitting: Set<Int> = []
    for name in tensors {
      guard let rule = rules.firstIndex(where: { $0.patterns.contains { $0.matches(name) } }) else {
        continue
      }
      fitting.insert(rule)
      let numbers = rules[rule].numbers
      for index in settings.indices {
        settings[index][name] =
          numbers.count == 1 ? numbers[0] : numbers[min(index, numbers.count - 1)]
      }
    }
    for (index, rule) in rules.enumerated() {
      guard rule.numbers.count == 1 || rule.numbers.count == count else {
        throw DiffError(
          .usage,
          "\(rule.numbers.count) numbers for \(count) diffs in \(option) '\(rule.text)'; give one, or "
            + "one for each")
      }
      guard fitting.contains(index) else {
        let close = CloseNames.closest(to: TensorName(rule.text), among: tensors)
        throw DiffError(
          .usage,
          "\(option) '\(rule.text)' matches no tensor that the rules before it leave"
            + (close.map { "; there is '\($0)'" } ?? ""))
      }
    }
    return settings
  }
}

/// Returns the patterns that a pattern with ranges of numbers, `layer.0-5.`, expands to.
private func expanded(_ pattern: String) throws(DiffError) -> [String] {
  var patterns = [""]
  var part = ""
  func append(_ text: String) throws(DiffError) {
    let ends = text.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
    guard ends.count == 2, let first = ends[0], let last = ends[1] else {
      patterns = patterns.map { $0 + text }
      return
    }
    guard first <= last, (last - first + 1) * patterns.count <= 4096 else {
      throw DiffError(.usage, "'\(text)' in '\(pattern)' is not a range of at most 4096 numbers")
    }
    patterns = patterns.flatMap { start in (first...last).map { "\(start)\($0)" } }
  }
  for character in pattern {
    guard character == "." || character == "/" else {
      part.append(character)
      continue
    }
    try append(part)
    patterns = patterns.map { $0 + String(character) }
    part = ""
  }
  try append(part)
  return patterns
}
