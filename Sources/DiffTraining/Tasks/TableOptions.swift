/// Options for reading a table; those that are nil are detected.
public struct TableOptions: Sendable, Hashable {
  /// A column.
  public enum Column: Sendable, Hashable {
    /// The column with this number, counted from 1.
    case number(Int)
    /// The column with this name in the header.
    case name(String)

    /// Creates a column from a number, or else from a name.
    public init(_ text: String) {
      self = Int(text).map(Column.number) ?? .name(text)
    }
  }

  /// The columns that are returned with the texts of a table to predict.
  public enum Kept: Sendable, Hashable {
    case none
    /// All but those of the texts.
    case all
    /// Columns by name or number; a text that is no name is a list with commas.
    case columns([String])
  }

  /// The format of the rows.
  public var format: TableFormat?
  /// The columns of the texts: one, or two for pairs. Nil for those with common names in the
  /// header, or all but the label's.
  public var texts: [Column]?
  /// The column of the label. Nil for the one with a common name in the header, or the last.
  public var label: Column?
  /// The names of columns to use if the header has them all and no others are specified.
  public var usual = TaskColumns()
  /// True if the table has labels.
  public var isLabelled = true
  /// True if the first row names the columns.
  public var hasHeader: Bool?
  /// The kind of the labels. Those of a classification are taken in this order, and others are
  /// refused: evaluation data must be read as the training data were.
  public var kind: TaskDescription.Kind?

  /// The columns that are returned with the texts, see `TextReader.kept`.
  public var kept = Kept.none

  /// Creates options that are all detected.
  public init() {}
}
