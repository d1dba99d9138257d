import TensorCore

/// An object of a checkpoint that is not a tensor.
public struct SkippedObject: Sendable, Hashable {
  /// The path inside the file, without a leading separator; bytes that are not valid UTF-8 are
  /// repaired.
  public var name: TensorName
  /// The reason, such as `a soft link, which is not followed`.
  public var reason: String
  /// True if it may hold numbers, which a file of another format could hold as a tensor.
  public var mayHoldNumbers: Bool
  /// A way to include it, if there is one.
  public var remedy: Remedy?

  package init(
    name: TensorName, reason: String, mayHoldNumbers: Bool = true, remedy: Remedy? = nil
  ) {
    self.name = name
    self.reason = reason
    self.mayHoldNumbers = mayHoldNumbers
    self.remedy = remedy
  }
}
