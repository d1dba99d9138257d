/// A way out of an error, as a value: a program offers it in words of its own, since a library does
/// not know how its caller is asked to overwrite a file. Later versions may add cases.
public enum Remedy: Sendable, Hashable {
  /// Let the output replace the file that exists.
  case overwrite
  /// Write a new file instead of changing this one in place.
  case newOutput
  /// Map the names of the diff to those of the checkpoint, which has a tensor of a similar name.
  case nameMap(closest: TensorName)
  /// Apply the diff with an undo diff, which can be applied afterwards.
  case undoFile
  /// Waive the check of the base.
  case allowOtherBase
  /// Verify whole tensors, not the changed elements alone.
  case verifyFully
  /// Pass the base checkpoint, which holds the old elements.
  case base
  /// Make the diff of additions.
  case additiveDiff
  /// Extract the other tensors of the diff.
  case leaveOut
  /// Make an additive diff of the float tensors alone.
  case skipNonfloat
  /// Compare the state of optimizers too.
  case includeOptimizer
  /// Pass a whole checkpoint of the same model.
  case wholeCheckpoint
  /// Convert the floats of the checkpoint at this path to another type.
  case convertType(String, to: String)
  /// Merge with the base at hand, which tells what the rows were that the shapes have in common.
  case mergeOnBase
  /// Choose whose rows a tensor gets that several diffs let grow in their own ways.
  case chooseRows
  /// Pass the diff through standard input.
  case standardInput
  /// Allow what was asked to be refused: infinite elements, changes that are lost.
  case allowLosses
  /// Choose which head goes into the result of a merge.
  case chooseHead
  /// Prune the result of a merge, not what goes into it.
  case pruneResult
  /// Name the column that holds the texts.
  case textColumn
  /// Leave the tensors with this pattern of names out of the checkpoint at this path.
  case dropTensors(String, pattern: String)
  /// Resume the work from its saved state, or start anew.
  case resumeOrStartAnew
  /// Recover the checkpoint at this path, which was left half changed.
  case recover(String)
  /// Resume the work from its saved state.
  case resume
}

extension Remedy: CustomStringConvertible {
  /// The stable spelling, as in `--json` output.
  public var name: String { texts.name }

  /// The remedy in words that hold for every program.
  public var description: String { texts.words }

  private var texts: (name: String, words: String) {
    switch self {
    case .overwrite: ("overwrite", "choose another name or allow the file to be replaced")
    case .newOutput: ("new-output", "write a new file")
    case .nameMap(let closest):
      ("name-map", "'\(closest)' is: a map of names tells which tensor is which")
    case .undoFile: ("undo-file", "write an undo diff when it is applied")
    case .allowOtherBase: ("allow-other-base", "allow another base to use it all the same")
    case .verifyFully: ("verify-fully", "verify whole tensors")
    case .base: ("base", "give the base")
    case .additiveDiff: ("additive-diff", "make an additive diff")
    case .leaveOut: ("leave-out", "extract the other tensors")
    case .skipNonfloat: ("skip-nonfloat", "leave out what is no float")
    case .includeOptimizer: ("include-optimizer", "compare the optimizer's state too")
    case .wholeCheckpoint:
      ("whole-checkpoint", "give a whole checkpoint of the same model, an adapter merged into it")
    case .convertType(let path, let type):
      ("convert-type", "convert the floats of '\(path)' to \(type)")
    case .mergeOnBase: ("merge-on-base", "give the base, and choose whose rows it gets")
    case .chooseRows: ("choose-rows", "choose one of the diffs, their mean, or those of the base")
    case .standardInput: ("standard-input", "only a diff may be piped, through standard input")
    case .allowLosses: ("allow-losses", "allow losses to have it all the same")
    case .chooseHead: ("choose-head", "choose one of the heads, or none")
    case .pruneResult: ("prune-result", "prune its result instead")
    case .textColumn: ("text-column", "name the column of the text")
    case .dropTensors(let path, let pattern):
      ("drop-tensors", "leave '\(pattern)' out of '\(path)' first")
    case .resumeOrStartAnew:
      ("resume-or-start-anew", "resume to go on from here, or start anew")
    case .recover(let path): ("recover", "recover '\(path)' first")
    case .resume: ("resume", "resume to go on from here")
    }
  }
}
