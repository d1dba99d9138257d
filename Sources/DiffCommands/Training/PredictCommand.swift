import ArgumentParser
import DiffTraining
import Platform
import SystemSupport
import TensorCore

/// `diffkit predict`.
struct PredictCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "predict",
    abstract: "Say what a base and a diff together make of texts.",
    discussion: """
      Texts are arguments, or the lines of a file or of standard input; of a pair, and of a \
      question and its context, the two texts are separated by a tab.

        diffkit predict base.h5 task.diff "Free entry in a weekly draw!"
        diffkit predict base.h5 task.diff --input texts.txt --json
      """)

  @Argument(help: "The base checkpoint.", completion: .file()) var base: String
  @Argument(help: "The diff of the task.", completion: .file()) var diff: String
  @Argument(help: "Texts; without any, lines are read.") var texts: [String] = []
  @Option(help: "A file of lines; '-' or none: standard input.", completion: .file())
  var input: String?
  @OptionGroup var files: ModelFiles
  @OptionGroup var precision: PrecisionOption
  @Flag(help: "Allow another base than the diff's.") var allowOtherBase = false
  @OptionGroup var json: JSONOption

  func validate() throws {
    guard texts.isEmpty || input == nil else {
      throw ValidationError("texts and --input exclude each other")
    }
  }

  func run() throws {
    try Engine.requireAvailable()
    let tuned = try TunedModel(
      base, diff: diff, files: files, precision: precision, allowsOtherBase: allowOtherBase)
    let lines = try texts.isEmpty ? Self.lines(of: input) : texts
    let predictions =
      try tuned.facts.kind == .spans
      ? Self.answers(tuned, lines) : Self.outputs(tuned, lines)
    try PredictionReport(predictions: predictions).print(json: json.json)
  }

  /// What is said to texts.
  private static func outputs(
    _ tuned: TunedModel, _ lines: [String]
  ) throws -> [Prediction] {
    let examples = try lines.enumerated().map { number, line in
      // Where single texts are read, a tab is a character like others.
      let (first, second) = tuned.facts.isPair == false ? (line, nil) : pair(line)
      guard second != nil || tuned.facts.isPair != true else {
        throw DiffError(
          .usage, "text \(number + 1) has no tab: two texts are wanted, with a tab between")
      }
      let encoding = tuned.tokenizer.encode(first, second, maxLength: tuned.facts.maxLength)
      return TokenExample(ids: encoding.ids, segments: second == nil ? [] : encoding.typeIDs)
    }
    let outputs = try tuned.model.predictions(of: examples, at: tuned.values)
    return outputs.indices.map { Prediction(text: lines[$0], outputs[$0], tuned.facts) }
  }

  /// The answers to questions.
  private static func answers(
    _ tuned: TunedModel, _ lines: [String]
  ) throws -> [Prediction] {
    let asked = try lines.enumerated().map { number, line in
      guard case (let question, let context?) = pair(line) else {
        throw DiffError(
          .usage, "text \(number + 1) has no tab: a question, a tab and a context are wanted")
      }
      return (question, context)
    }
    let data = TaskSet(
      Questions(asking: asked), tuned.tokenizer, maxLength: tuned.facts.maxLength)
    let outputs = try tuned.model.predictions(of: data.examples, at: tuned.values)
    return zip(lines, data.answers(outputs, mayBeNone: true)).map {
      Prediction(text: $0, answer: $1)
    }
  }

  /// The two texts that a tab separates, or one.
  private static func pair(_ line: String) -> (String, String?) {
    let parts = line.split(separator: "\t", maxSplits: 1, omittingEmptySubsequences: false)
    return (String(parts[0]), parts.count > 1 ? String(parts[1]) : nil)
  }

  /// The lines of a file, or of standard input.
  private static func lines(of path: String?) throws(DiffError) -> [String] {
    let bytes =
      if let path, path != "-" {
        try File.contents(of: path)
      } else {
        try StandardInput.readAll()
      }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw DiffError(.malformed, "is not valid UTF-8", path: path ?? "standard input")
    }
    // As scalars: a CR LF is one character.
    var lines = text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false)
    if lines.last?.isEmpty == true { lines.removeLast() }
    return lines.map { String($0.last == "\r" ? $0.dropLast() : $0) }
  }
}

/// What a model says to a text.
struct Prediction: Encodable {
  let text: String
  /// The class, where classes are asked for, and how likely the model finds it.
  var label: String?
  var probability: Double?
  /// The number, where one is asked for.
  var value: Double?
  /// The part of the context, where a question is asked; empty if there is none.
  var answer: String?

  init(text: String, answer: String) {
    self.text = text
    self.answer = answer
  }

  init(text: String, _ outputs: [Float], _ facts: TaskFacts) {
    self.text = text
    guard case .classification(let labels) = facts.kind else {
      value = outputs.first.map(Double.init)
      return
    }
    let chosen = TaskFacts.chosenClass(outputs)
    label = labels.indices.contains(chosen) ? labels[chosen] : nil
    let most = Double(outputs.max() ?? 0)
    probability = 1 / outputs.reduce(0) { $0 + exp(Double($1) - most) }
  }
}

/// Predictions, a line each.
struct PredictionReport: CommandOutput {
  let predictions: [Prediction]

  var text: String {
    predictions.map { prediction in
      let answer = prediction.label ?? prediction.answer ?? prediction.value?.fixed(4) ?? ""
      return "\(answer)\t\(prediction.text)".escapingControlsButTabs + "\n"
    }.joined()
  }
}

extension String {
  fileprivate var escapingControlsButTabs: String {
    escapingControls { $0 == "\t" ? "\t" : "\\u{\(String($0.value, radix: 16))}" }
  }
}
