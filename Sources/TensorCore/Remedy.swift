/// A remedy for an error, as a value, so that a program can word it in terms of its own interface,
/// such as the option that allows overwriting. Later versions may add cases.
public enum Remedy: Sendable, Hashable {
  /// Allow the output to replace the existing file.
  case overwrite
  /// Write a new file instead of changing this one in place.
  case newOutput
  /// Map the names of the diff to those of the checkpoint, which has a tensor of a similar name.
  case nameMap(closest: TensorName)
  /// Write an undo diff when applying the diff; it can be applied afterwards.
  case undoFile
  /// Skip the check of the base.
  case allowOtherBase
  /// Verify whole tensors, not only the changed elements.
  case verifyFully
  /// Pass the base checkpoint, which holds the old elements.
  case base
  /// Make an additive diff.
  case additiveDiff
  /// Extract the other tensors of the diff.
  case leaveOut
  /// Make an additive diff of the float tensors only.
  case skipNonfloat
  /// Compare optimizer state as well.
  case includeOptimizer
  /// Pass a whole checkpoint of the same model.
  case wholeCheckpoint
  /// Convert the floats of the checkpoint at this path to another type.
  case convertType(String, to: String)
  /// Pass the base to the merge, which holds the old values of the rows that the shapes share.
  case mergeOnBase
  /// Choose which rows a tensor gets that several diffs reshape.
  case chooseRows
  /// Pass the diff through standard input.
  case standardInput
  /// Allow losses that are refused by default: infinite elements, changes that are lost.
  case allowLosses
  /// Choose the head of a merge's result.
  case chooseHead
  /// Merge the diffs, and choose the head of the result.
  case mergeFirst
  /// Merge the diffs on their base, and choose the rows and the head of the result.
  case mergeRowsFirst
  /// Prune the result of a merge instead of its inputs.
  case pruneResult
  /// Name the column that holds the texts.
  case textColumn
  /// Name the format of the rows of a file.
  case inputFormat
  /// Name the column that holds the labels.
  case labelColumn
  /// Remove the tensors with this pattern of names from the checkpoint at this path.
  case dropTensors(String, pattern: String)
  /// Resume the work from its saved state, or start again.
  case resumeOrStartAnew
  /// Recover the checkpoint at this path, whose change was interrupted.
  case recover(String)
  /// Resume the work from its saved state.
  case resume
  /// Name the version of a store that is the parent.
  case parent
  /// Try again later: the cause may pass.
  case tryLater
}

extension Remedy: CustomStringConvertible {
  /// The stable spelling, as in `--json` output.
  public var name: String { texts.name }

  /// The remedy in words that apply to every program.
  public var description: String { texts.words }

  private var texts: (name: String, words: String) {
    switch self {
    case .overwrite: ("overwrite", "choose another name or allow the file to be replaced")
    case .newOutput: ("new-output", "write a new file")
    case .nameMap(let closest):
      ("name-map", "'\(closest)' is: pass a map of names")
    case .undoFile: ("undo-file", "write an undo diff when it is applied")
    case .allowOtherBase: ("allow-other-base", "allow another base to use it anyway")
    case .verifyFully: ("verify-fully", "verify whole tensors")
    case .base: ("base", "pass the base")
    case .additiveDiff: ("additive-diff", "make an additive diff")
    case .leaveOut: ("leave-out", "extract the other tensors")
    case .skipNonfloat: ("skip-nonfloat", "leave out tensors that are not floats")
    case .includeOptimizer: ("include-optimizer", "compare the optimizer's state too")
    case .wholeCheckpoint:
      ("whole-checkpoint", "pass a whole checkpoint of the same model, with any adapter merged")
    case .convertType(let path, let type):
      ("convert-type", "convert the floats of '\(path)' to \(type)")
    case .mergeOnBase: ("merge-on-base", "pass the base, and choose the rows of the result")
    case .chooseRows: ("choose-rows", "choose one of the diffs, their mean, or those of the base")
    case .standardInput: ("standard-input", "only a diff can be piped, through standard input")
    case .allowLosses: ("allow-losses", "allow losses to continue anyway")
    case .chooseHead: ("choose-head", "choose one of the heads, or none")
    case .mergeFirst: ("merge-first", "merge the diffs first, and choose one of the heads")
    case .mergeRowsFirst:
      ("merge-rows-first", "merge the diffs on their base first, and choose the rows and a head")
    case .pruneResult: ("prune-result", "prune its result instead")
    case .textColumn: ("text-column", "name the column of the text")
    case .inputFormat: ("input-format", "name the format of its rows")
    case .labelColumn: ("label-column", "name the column of the label")
    case .dropTensors(let path, let pattern):
      ("drop-tensors", "leave '\(pattern)' out of '\(path)' first")
    case .resumeOrStartAnew:
      ("resume-or-start-anew", "resume to continue from here, or start again")
    case .recover(let path): ("recover", "recover '\(path)' first")
    case .resume: ("resume", "resume to continue from here")
    case .parent: ("parent", "name the parent")
    case .tryLater: ("try-later", "try again later")
    }
  }
}
