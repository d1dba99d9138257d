/// The names of the columns of a task in tables.
public struct TaskColumns: Sendable, Hashable {
  /// The column of the text, or the two of a pair; empty where they are not known.
  public var texts: [String]
  /// The column of the label.
  public var label: String?

  /// Creates names, by default none.
  public init(texts: [String] = [], label: String? = nil) {
    self.texts = texts
    self.label = label
  }
}
