import TensorCore

extension Remedy {
  /// The remedy as options of this program; the libraries never name options.
  var commandLine: String {
    switch self {
    case .overwrite: "choose another name or give --force"
    case .newOutput: "write a new file with -o"
    case .nameMap(let closest): "'\(closest)' is; give --map FILE to map tensor names"
    case .undoFile: "apply with --undo FILE"
    case .allowOtherBase: "give --allow-other-base to use it anyway"
    case .verifyFully: "use '--verify full'"
    case .base: "give --base FILE"
    case .additiveDiff: "make an additive diff with 'create --add'"
    case .leaveOut: "leave it out with 'extract --except'"
    case .skipNonfloat: "leave it out with --skip-nonfloat"
    case .includeOptimizer: "give --optimizer to compare them"
    case .wholeCheckpoint: description
    case .convertType(let path, let type):
      "convert it: diffkit convert '\(path)' OUTPUT --type \(type)"
    case .standardInput: "only a diff can be read from standard input, as '-'"
    case .mergeOnBase:
      "give --base FILE and --rows first, NAME, average or drop, or leave the tensor out with "
        + "'extract --except'"
    case .chooseRows: "--rows first, --rows NAME, --rows average or --rows drop"
    case .allowLosses: "without --strict they are counted and allowed"
    case .chooseHead: "choose with --head first, --head NAME or --head drop"
    case .mergeFirst:
      "merge them first, and choose one: diffkit merge DIFF ... -o merged.diff --head first"
    case .mergeRowsFirst:
      "merge them first, and choose the rows and a head: diffkit merge DIFF ... --base BASE "
        + "--rows first --head first -o merged.diff"
    case .pruneResult: "to prune its result, use --prune-to"
    case .textColumn: "name the column of the text with --text (give it twice for pairs of texts)"
    case .inputFormat: "name its format with --input-format: csv, tsv, jsonl, or lines of text"
    case .labelColumn: "name the column of the label with --label"
    case .dropTensors(let path, let pattern):
      "leave it out first: diffkit convert '\(path)' OUTPUT --except '\(pattern)'"
    case .resumeOrStartAnew:
      "give --resume to continue from it, or --anew to start from the beginning"
    case .recover(let path): "complete that first: diffkit recover '\(path)'"
    case .parent: "name the parent with --parent"
    case .tryLater: description
    case .resume: "run the same command with --resume to continue"
    }
  }
}
