import DiffFormat
import DiffTraining
import StrictJSON
import SystemSupport
import TensorCore

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The settings of the training of one task, as listed by `--tasks` and stored in a diff.
struct TrainingJob: Codable {
  var task: String?
  var dev: String?
  var output: String?
  /// The columns of the texts and of the label: numbers from 1, or names of a header.
  var texts: [String] = []
  var label: String?
  /// The format of the rows, and whether the first one names the columns; nil: detected.
  var format: TableFormat?
  var header: Bool?
  var pooling = EncoderModel.Pooling.pooler
  var maxLength = 128
  var precision = Precision.f32
  /// The number of threads, on which the bits of the result depend; nil: the number of cores.
  var threads: Int?
  var options = TrainingOptions()
  /// What gradients travel in between ranks; nil: float32.
  var traffic: Precision?
  /// A file for the metrics of every step.
  var metrics: String?

  /// The metadata keys of the job and of the fingerprint of the data.
  static let key = "train.settings"
  static let dataKey = "train.data"
  /// The metadata keys of other values that the bits of the result depend on.
  static let versionKey = "train.version"
  static let processorKey = "train.processor"
  static let ranksKey = "train.ranks"

  /// The path of the diff; nil without a task.
  var destination: String? { output ?? task.map { stem($0) + ".diff" } }

  /// Refuses settings out of range, before anything is read.
  func check() throws(DiffError) {
    try options.check()
    guard (3...1 << 20).contains(maxLength) else {
      throw DiffError(.usage, "texts must have at least 3 tokens, not \(maxLength)")
    }
    guard threads.map({ (1...1024).contains($0) }) ?? true else {
      throw DiffError(.usage, "there must be 1 ... 1024 threads")
    }
  }

  /// True if there is the state of a stopped training.
  var hasState: Bool { destination.map { File.exists(Self.statePath(of: $0)) } ?? false }

  /// Returns the path of the state that the training of a diff saves.
  static func statePath(of diff: String) -> String { diff + ".state" }

  /// The job as JSON.
  var json: String {
    get throws {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
      return String(decoding: try encoder.encode(self), as: UTF8.self)
    }
  }

  init() {}

  /// - Parameter json: Members that differ from the defaults.
  init(_ json: JSONValue, over defaults: TrainingJob) throws {
    let members = try JSONValue(parsing: Array(defaults.json.utf8))
    let merged = try members.merging(json, known: Self.complete)
    do {
      self = try JSONDecoder().decode(Self.self, from: Data(merged.compact.utf8))
    } catch let error as DecodingError {
      throw DiffError(.usage, error.summary, cause: error)
    }
  }

  /// Creates the job that made a diff, without the output.
  init(repeating path: String) throws {
    let reader = try DiffReader(path)
    guard let text = reader.metadata[Self.key] else {
      throw DiffError(.mismatch, "was not made by 'diffkit train'", path: path)
    }
    self = try TrainingJob(JSONValue(parsing: Array(text.utf8)), over: TrainingJob())
    output = nil
  }

  /// Returns the fingerprint of the rows that a diff was trained on.
  static func data(of path: String) throws -> String {
    guard let text = try DiffReader(path).metadata[dataKey] else {
      throw DiffError(.mismatch, "has no fingerprint of the rows it was trained on", path: path)
    }
    return text
  }

  /// The options for reading the table of the task.
  var table: TableOptions {
    var options = TableOptions()
    if !texts.isEmpty { options.texts = texts.map { TableOptions.Column($0) } }
    options.label = label.map { TableOptions.Column($0) }
    options.format = format
    options.hasHeader = header
    return options
  }

  /// Takes over the column options that are given.
  mutating func take(_ columns: ColumnOptions) {
    if !columns.texts.isEmpty { texts = columns.texts }
    label = columns.label ?? label
    format = columns.inputFormat ?? format
    header = columns.header ?? header
  }

  /// Returns the jobs of a JSON file: a list of objects, or an object with a list `tasks`. A member
  /// `grid` of a task has lists of options, `{"seed": [0, 1], "density": [0.001, 0.005]}`, and
  /// makes a task of each combination.
  static func list(_ path: String, over defaults: TrainingJob) throws -> [TrainingJob] {
    do {
      let json = try JSONValue(parsing: File.contents(of: path, limit: 1 << 24))
      guard let list = json.elements ?? json["tasks"]?.elements, !list.isEmpty else {
        throw DiffError(.usage, "must be a list of tasks")
      }
      let jobs = try list.flatMap { try expanded($0).map { try TrainingJob($0, over: defaults) } }
      for job in jobs {
        do throws(DiffError) { try job.check() } catch {
          var error = error
          error.message = "\(job.destination ?? "a task"): \(error.message)"
          throw error
        }
      }
      var outputs: Set<String> = []
      for output in jobs.compactMap(\.destination) where !outputs.insert(output).inserted {
        throw DiffError(.usage, "two tasks have the output '\(output)'")
      }
      return jobs
    } catch let error as DiffError { throw error.at(path: path) }
  }

  /// Returns a task for each combination of a grid, named in its output; the task itself without a
  /// grid.
  private static func expanded(_ task: JSONValue) throws -> [JSONValue] {
    guard let grid = task["grid"] else { return [task] }
    guard let lists = grid.members, lists.allSatisfy({ $0.value.elements?.isEmpty == false }) else {
      throw DiffError(.usage, "'grid' must be an object of lists, as {\"seed\": [0, 1]}")
    }
    var tasks = [(options: [JSONValue.Member], words: [String])]()
    tasks.append(((task["options"]?.members ?? []), []))
    for list in lists {
      tasks = tasks.flatMap { options, words in
        (list.value.elements ?? []).map { value in
          (
            options.filter { $0.name != list.name } + [JSONValue.Member(list.name, value)],
            words + ["\(list.name)-\(value.text ?? value.compact)"]
          )
        }
      }
    }
    let output = task["output"]?.text ?? stem(task["task"]?.text ?? "") + ".diff"
    let rest = (task.members ?? []).filter { !["grid", "options", "output"].contains($0.name) }
    return tasks.map { options, words in
      .object(
        rest + [
          JSONValue.Member("options", .object(options)),
          JSONValue.Member("output", .string(derivedName(output, words))),
        ])
    }
  }

  /// A job with every member set: the list of known members.
  private static let complete: JSONValue? = {
    var job = TrainingJob()
    (job.task, job.dev, job.output, job.label, job.threads) = ("", "", "", "", 1)
    (job.format, job.header, job.metrics) = (.tsv, true, "")
    job.traffic = .bf16
    (job.options.classWeights, job.options.best) = (.balanced, true)
    (job.options.lambda, job.options.learningRate, job.options.fixedLearningRate) = (0, 1, 1)
    (job.options.epochs, job.options.fixedEpochs) = (1, 1)
    return (try? job.json).flatMap { try? JSONValue(parsing: Array($0.utf8)) }
  }()
}

extension JSONValue {
  /// Returns this object with the members of another one, merged recursively.
  ///
  /// - Parameter known: An object with all members that are permitted.
  fileprivate func merging(_ other: JSONValue, known: JSONValue?) throws(DiffError) -> JSONValue {
    guard case .object(var members) = self, case .object(let new) = other else { return other }
    for member in new {
      guard let known = known?[member.name] else {
        throw DiffError(.usage, "'\(member.name)' is not a training setting")
      }
      let index = members.firstIndex { $0.name == member.name }
      if let index {
        members[index].value = try members[index].value.merging(member.value, known: known)
      } else {
        members.append(member)
      }
    }
    return .object(members)
  }
}

extension DecodingError {
  /// The error on one line.
  fileprivate var summary: String {
    let context =
      switch self {
      case .typeMismatch(_, let context), .valueNotFound(_, let context),
        .keyNotFound(_, let context), .dataCorrupted(let context):
        context
      @unknown default: DecodingError.Context(codingPath: [], debugDescription: "\(self)")
      }
    let place = context.codingPath.map(\.stringValue).joined(separator: ".")
    return place.isEmpty ? context.debugDescription : "'\(place)': \(context.debugDescription)"
  }
}
