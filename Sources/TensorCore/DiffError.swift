/// The error type of diffkit: a code, a message, a location and a remedy.
///
/// `description` is a single line that is safe for a terminal: control characters from files
/// (names, paths, metadata) are escaped.
public struct DiffError: Error, Sendable, Hashable {
  /// The class of the error.
  public var code: Code
  /// The description of the problem, without the location; may include advice after a semicolon.
  public var message: String
  /// The file concerned.
  public var path: String?
  /// The tensor concerned.
  public var tensor: TensorName?
  /// The byte offset in the file concerned.
  public var offset: UInt64?
  /// The operating system's number for the error, if it reported one.
  public var errno: Int32?
  /// A remedy, in addition to advice in the message.
  public var remedy: Remedy?

  private var underlying: Cause?

  /// The error that led to this one.
  public var cause: (any Error)? {
    get { underlying?.error }
    set { underlying = newValue.map(Cause.init) }
  }

  /// Creates an error; callers may add parts of the location later.
  public init(
    _ code: Code, _ message: String, path: String? = nil, tensor: TensorName? = nil,
    offset: UInt64? = nil, errno: Int32? = nil, remedy: Remedy? = nil, cause: (any Error)? = nil
  ) {
    self.code = code
    self.message = message
    self.path = path
    self.tensor = tensor
    self.offset = offset
    self.errno = errno
    self.remedy = remedy
    underlying = cause.map(Cause.init)
  }

  /// Returns the error with the missing parts of its location.
  public func at(path: String? = nil, tensor: TensorName? = nil, offset: UInt64? = nil) -> DiffError
  {
    var error = self
    error.path = self.path ?? path
    error.tensor = self.tensor ?? tensor
    error.offset = self.offset ?? offset
    return error
  }

  /// Returns the error with a remedy.
  package func advising(_ remedy: Remedy) -> DiffError {
    var error = self
    error.remedy = remedy
    return error
  }
}

/// An error of any type, equal to others with the same description.
private struct Cause: Sendable, Hashable {
  let error: any Error

  static func == (one: Self, other: Self) -> Bool { "\(one.error)" == "\(other.error)" }

  func hash(into hasher: inout Hasher) { hasher.combine("\(error)") }
}

extension DiffError: CustomStringConvertible {
  /// `path: tensor 'name': byte 12: message; remedy`, on one line; `path: tensor 'name' is …` if the
  /// message says something of the tensor.
  public var description: String { line(\.description) }

  /// Returns the description with another wording of the remedy, such as a program's options.
  public func line(_ words: (Remedy) -> String) -> String {
    var parts: [String] = []
    if let path { parts.append(path.isEmpty ? "''" : path) }
    if let tensor { parts.append("tensor '\(tensor.description.abbreviated())'") }
    if let offset { parts.append("byte \(offset)") }
    let message = advice(words).abbreviated(to: 2000)
    if tensor != nil, offset == nil, Self.verbs.contains(where: message.hasPrefix) {
      parts[parts.count - 1] += " " + message
    } else {
      parts.append(message)
    }
    return parts.joined(separator: ": ").escapingControls
  }

  /// The beginnings of messages whose subject is the tensor, which no colon separates from them.
  private static let verbs = [
    "is ", "has ", "was ", "does ", "becomes ", "cannot ", "changes ", "differs ", "exists ",
    "keeps ", "matches ", "occurs ", "states ",
  ]

  /// Returns the message, followed by the remedy in the given wording.
  public func advice(_ words: (Remedy) -> String) -> String {
    guard let remedy else { return message }
    return message + (message.contains("; ") ? ", or " : "; ") + words(remedy)
  }
}
