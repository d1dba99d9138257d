import TensorCore

extension Remedy {
  /// The remedy as an option of this program: the only place that names one for a library.
  var commandLine: String {
    switch self {
    case .overwrite: "choose another name or give --force"
    case .newOutput: "write a new file with -o"
    case .nameMap(let closest): "'\(closest)' is: --map FILE tells which tensor is which"
    case .undoFile: "apply with --undo FILE"
    case .allowOtherBase: "give --allow-other-base to use it all the same"
    case .verifyFully: "use '--verify full'"
    case .base: "give --base FILE"
    case .additiveDiff: "make an additive diff with 'create --add'"
    case .leaveOut: "'extract --except' leaves it out"
    case .skipNonfloat: "leave it out with --skip-nonfloat"
    case .includeOptimizer: "--optimizer compares them"
    case .wholeCheckpoint: description
    case .convertType(let path, let type):
      "convert it: diffkit convert '\(path)' OUTPUT --type \(type)"
    case .standardInput: "only a diff may be piped: as '-', standard input"
    case .mergeOnBase:
      "give --base FILE and --rows first, NAME, average or drop, or leave the tensor out with "
        + "'extract --except'"
    case .chooseRows: "--rows first, --rows NAME, --rows average or --rows drop"
    case .allowLosses: "without --strict they are counted and allowed"
    case .chooseHead: "choose with --head first, --head NAME or --head drop"
    case .pruneResult: "to prune its result, use --prune-to"
    case .textColumn: "--text names the column of the text (given twice: of both texts of a pair)"
    case .dropTensors(let path, let pattern):
      "leave it out first: diffkit convert '\(path)' OUTPUT --except '\(pattern)'"
    case .resumeOrStartAnew:
      "the same command with --resume goes on from it, with --anew it starts from the beginning"
    case .recover(let path): "complete that first: diffkit recover '\(path)'"
    case .resume: "the same command with --resume goes on from here"
    }
  }
}
