/// How a table is to be read; what is nil is found out.
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

  /// How the rows are written.
  public var format: TableFormat?
  /// The columns of the texts: one, or two for pairs. Nil: those that the header calls so, or all
  /// but the label's.
  public var texts: [Column]?
  /// The column of the label. Nil: the one that the header calls so, or the last.
  public var label: Column?
  /// Names of columns that are taken where the header has them all, and no others are given.
  public var usual: (texts: [String], label: String?) {
    get { (usualTexts, usualLabel) }
    set { (usualTexts, usualLabel) = newValue }
  }
  /// Whether there are labels.
  public var isLabelled = true
  /// Whether the first row names the columns.
  public var hasHeader: Bool?
  /// What the labels are. The labels of a classification are taken in this order, and others
  /// refused: data to be evaluated must be read as the training data were.
  public var kind: TaskDescription.Kind?

  private var usualTexts: [String] = []
  private var usualLabel: String?

  /// Everything is found out.
  public init() {}
}
