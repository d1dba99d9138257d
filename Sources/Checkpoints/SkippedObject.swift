import TensorCore

/// An object of a checkpoint that is not among its tensors.
public struct SkippedObject: Sendable, Hashable {
  /// The path inside the file, without a leading separator; bytes that are not valid UTF-8 are
  /// repaired.
  public var name: TensorName
  /// Why it was passed over, such as `a soft link, which is not followed`.
  public var reason: String
  /// Whether it may hold numbers, which a file of another format could hold as a tensor.
  public var mayHoldNumbers: Bool
  /// How it would not be passed over, if it need not be.
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
