extension DiffError {
  /// The class of an error. Open: later versions may add codes, so switch with a `default`.
  public struct Code: Sendable, Hashable, CustomStringConvertible {
    /// The stable spelling, as in `spec/FORMAT.md` and in `--json` output.
    public let description: String

    // Private: a code that is not listed here is none.
    private init(_ description: String) { self.description = description }

    // MARK: The format (spec/FORMAT.md, section 10)

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

    // MARK: The operating system

    /// A file cannot be opened, read or written, for another reason than the three below. Where a
    /// function is documented to throw `io`, it may throw any of the four.
    public static let io = Code("io")
    /// There is no such file or folder.
    public static let notFound = Code("not-found")
    /// The process may not do this to the file or folder.
    public static let denied = Code("denied")
    /// The file system has less space than the output needs.
    public static let noSpace = Code("no-space")

    // MARK: Operations

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
