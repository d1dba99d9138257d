extension DiffError {
  /// The class of an error. Later versions may add codes, so a `switch` needs a `default`.
  public struct Code: Sendable, Hashable, CustomStringConvertible {
    /// The stable spelling, as in `spec/FORMAT.md` and in `--json` output.
    public let description: String

    // Private: only the codes listed here exist.
    private init(_ description: String) { self.description = description }

    // MARK: The format (spec/FORMAT.md, section 10)

    /// The file does not begin with the signature of a diff.
    public static let notADiff = Code("not-a-diff")
    /// The signature was altered by a transfer in text mode.
    public static let textMode = Code("text-mode")
    /// The file ends too early.
    public static let truncated = Code("truncated")
    /// The major version is not supported by this reader.
    public static let unsupportedVersion = Code("unsupported-version")
    /// The file needs a feature that this reader does not support.
    public static let unsupportedFeature = Code("unsupported-feature")
    /// Bytes do not match their checksum.
    public static let checksum = Code("checksum")
    /// The structure breaks a rule of the format.
    public static let malformed = Code("malformed")
    /// A size exceeds a limit of the format.
    public static let limit = Code("limit")

    // MARK: The operating system

    /// A file cannot be opened, read or written, for another reason than the three below. A
    /// function that is documented to throw `io` may throw any of the four.
    public static let io = Code("io")
    /// The file or folder does not exist.
    public static let notFound = Code("not-found")
    /// The process lacks permission for the file or folder.
    public static let denied = Code("denied")
    /// The file system has less space than the output needs.
    public static let noSpace = Code("no-space")

    // MARK: Operations

    /// The file is not a supported checkpoint.
    public static let notACheckpoint = Code("not-a-checkpoint")
    /// The checkpoint uses something that diffkit does not write or follow.
    public static let unsupportedCheckpoint = Code("unsupported-checkpoint")
    /// A tensor is missing, or has another type or shape than the diff expects.
    public static let mismatch = Code("mismatch")
    /// A tensor differs from the one that the diff was made for.
    public static let wrongBase = Code("wrong-base")
    /// Some tensors are at the base, others at the result.
    public static let partlyApplied = Code("partly-applied")
    /// The operation is not defined for these inputs.
    public static let unsupported = Code("unsupported")
    /// The output already exists.
    public static let exists = Code("exists")
    /// Another program is using the file.
    public static let locked = Code("locked")
    /// A change in place was interrupted; `recover` completes it.
    public static let interrupted = Code("interrupted")
    /// Another process modified the file while it was being read.
    public static let changed = Code("changed")
    /// The work was stopped on request; its state is saved.
    public static let stopped = Code("stopped")
    /// The caller's arguments contradict each other or are out of range.
    public static let usage = Code("usage")
  }
}
