/// Which rows a tensor has in the result of a merge that several diffs let grow or shrink in their own
/// ways, as the embeddings of grown vocabularies and heads of other sizes.
public enum RowChoice: Sendable, Hashable {
  /// Those of the first diff that changes its shape.
  case first
  /// Those of the diff with this path, file name or file name without suffix.
  case named(String)
  /// As many as the longest has; of each the mean over the diffs that have it.
  case average
  /// Those of the base.
  case drop
}
