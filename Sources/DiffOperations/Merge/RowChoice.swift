/// The choice of the rows of a merged tensor whose number of rows the diffs change differently,
/// such as embeddings of grown vocabularies and heads of other sizes.
public enum RowChoice: Sendable, Hashable {
  /// The rows of the first diff that changes the shape.
  case first
  /// The rows of the diff with this path, file name or file name without suffix.
  case named(String)
  /// As many rows as the longest tensor has, each the mean over the diffs that have it.
  case average
  /// The rows of the base.
  case drop
}
