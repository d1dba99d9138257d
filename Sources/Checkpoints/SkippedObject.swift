/// An object of a checkpoint that is not among its tensors.
public struct SkippedObject: Sendable, Hashable {
  /// The path inside the file, without a leading separator; bytes that are not valid UTF-8 are
  /// repaired.
  public var name: String
  /// Why it was passed over, such as `a soft link, which is not followed`.
  public var reason: String

  package init(name: String, reason: String) {
    self.name = name
    self.reason = reason
  }
}
