/// What a file of tab-separated values is told to be; what is nil is found out.
public struct TableOptions: Sendable, Hashable {
  /// A column.
  public enum Column: Sendable, Hashable {
    /// By its place, counted from 1.
    case number(Int)
    /// By its name in the header.
    case name(String)

    /// A number, or else a name.
    public init(_ text: String) {
      self = Int(text).map(Column.number) ?? .name(text)
    }
  }

  /// The columns of the texts: one, or two for pairs. Nil: all but the label's.
  public var texts: [Column]?
  /// The column of the label. Nil: the last.
  public var label: Column?
  /// Whether there are labels.
  public var isLabelled = true
  /// Whether the first line names the columns.
  public var hasHeader: Bool?
  /// What the labels are. The labels of a classification are taken in this order, and others
  /// refused: data to be evaluated must be read as the training data were.
  public var kind: TaskDescription.Kind?

  /// Everything is found out.
  public init() {}
}
