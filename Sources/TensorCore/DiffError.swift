/// What went wrong, where, and what to do: the one error type of diffkit.
///
/// `description` is a single line fit for a terminal: control characters that come from a file
/// (names, paths, metadata) are escaped.
public struct DiffError: Error, Sendable, Hashable {
  /// The class of an error. Open: later versions may add codes, so switch with a `default`.
  public struct Code: Sendable, Hashable, CustomStringConvertible {
    /// The stable spelling, as in `spec/FORMAT.md` and in `--json` output.
    public let description: String

    package init(_ description: String) { self.description = description }

    // The container (spec/FORMAT.md, section 10).

    /// The file does not begin with the signature of a diff.
    public static let notADiff = Code("not-a-diff")
    /// The signature was altered as a transfer in text mode alters it.
    public static let textMode = Code("text-mode")
    /// The file ends before its contents do.
    public static let truncated = Code("truncated")
    /// The major version is not one that this reader knows.
    public static let unsupportedVersion = Code("unsupported-version")
    /// The file needs a feature that this reader does not know.
    public static let unsupportedFeature = Code("unsupported-feature")
    /// Bytes do not match their checksum.
    public static let checksum = Code("checksum")
    /// The structure breaks a rule of the format.
    public static let malformed = Code("malformed")
    /// A size exceeds a limit of the format.
    public static let limit = Code("limit")

    // Operations.

    /// A file cannot be opened, read or written.
    public static let io = Code("io")
    /// The file is no checkpoint that diffkit reads.
    public static let notACheckpoint = Code("not-a-checkpoint")
    /// The checkpoint uses something that diffkit does not write or follow.
    public static let unsupportedCheckpoint = Code("unsupported-checkpoint")
    /// A tensor is missing, or has another type or shape than the diff expects.
    public static let mismatch = Code("mismatch")
    /// A tensor is not the one that the diff was made for.
    public static let wrongBase = Code("wrong-base")
    /// Some tensors are at the base, others at the result.
    public static let partlyApplied = Code("partly-applied")
    /// The operation is not defined for these inputs.
    public static let unsupported = Code("unsupported")
    /// The output exists already.
    public static let exists = Code("exists")
    /// Another program is using the file.
    public static let locked = Code("locked")
    /// A change in place was interrupted; `recover` takes it back.
    public static let interrupted = Code("interrupted")
    /// The file system has less room than the output needs.
    public static let noRoom = Code("no-room")
    /// A file was changed by somebody else while it was read.
    public static let changed = Code("changed")
    /// The caller's arguments contradict each other or are out of range.
    public static let usage = Code("usage")
  }

  /// The class of the error.
  public var code: Code
  /// What is wrong and what to do, without the place.
  public var message: String
  /// The file concerned.
  public var path: String?
  /// The tensor concerned.
  public var tensor: String?
  /// The byte offset in the file concerned.
  public var offset: UInt64?

  /// Creates an error; the place may be filled in by callers that know more.
  public init(
    _ code: Code, _ message: String, path: String? = nil, tensor: String? = nil,
    offset: UInt64? = nil
  ) {
    self.code = code
    self.message = message
    self.path = path
    self.tensor = tensor
    self.offset = offset
  }

  /// The same error, with the parts of its place that it lacks.
  public func at(path: String? = nil, tensor: String? = nil, offset: UInt64? = nil) -> DiffError {
    DiffError(
      code, message, path: self.path ?? path, tensor: self.tensor ?? tensor,
      offset: self.offset ?? offset)
  }
}

extension DiffError: CustomStringConvertible {
  /// `path: tensor 'name': byte 12: message`, on one line.
  public var description: String {
    var parts: [String] = []
    if let path { parts.append(path) }
    if let tensor { parts.append("tensor '\(tensor)'") }
    if let offset { parts.append("byte \(offset)") }
    parts.append(message)
    return parts.joined(separator: ": ").escapingControls
  }
}

extension String {
  /// The text with every control or formatting character written as `\u{…}`, so that what an
  /// untrusted file contains cannot steer a terminal.
  public var escapingControls: String {
    escapingControls { "\\u{\(String($0.value, radix: 16))}" }
  }

  /// The text with every control or formatting character replaced.
  package func escapingControls(as escape: (Unicode.Scalar) -> String) -> String {
    guard unicodeScalars.contains(where: \.isControl) else { return self }
    var out = ""
    for scalar in unicodeScalars {
      if scalar.isControl {
        out += escape(scalar)
      } else {
        out.unicodeScalars.append(scalar)
      }
    }
    return out
  }
}

extension Unicode.Scalar {
  /// The escape of JSON. Line feeds stay: the encoder puts them between values only.
  package var jsonEscape: String {
    if self == "\n" { return "\n" }
    return String(self).utf16.map { unit in
      let digits = String(unit, radix: 16)
      return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
    }.joined()
  }

  fileprivate var isControl: Bool {
    switch properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate: true
    default: false
    }
  }
}
