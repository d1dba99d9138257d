/// The operations on diffs: `Diffs.create`, `Diffs.apply`, `Diffs.merge` and so on, each in the
/// file of its name.
public enum Diffs {}
