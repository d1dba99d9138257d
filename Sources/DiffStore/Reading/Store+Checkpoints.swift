import Checkpoints
import DiffFormat
import DiffOperations
import SystemSupport
import TensorCore

extension Store {
  /// Returns a version as a checkpoint to read: its anchor, or the nearest one before it with the
  /// links from there applied while it is read. It is not verified, unlike in `get`.
  ///
  /// - Throws: `notFound` for a name; `checksum` for a file that is not the one of the index.
  /// - Complexity: O(entries of the links).
  public func checkpoint(of name: String) throws(DiffError) -> any Checkpoint {
    let index = index
    return try checkpoint(try index.number(of: name), index)
  }

  /// Returns the folder of the model's files, each compared with its hash; nil if the store has none.
  ///
  /// - Throws: `checksum` for a file that is not the one of the index; `notFound`, `io`.
  public func modelFolder() throws(DiffError) -> String? {
    let model = files.modelFiles(index)
    guard !model.isEmpty else { return nil }
    try files.verify(model)
    files.writeNotes()
    return files.modelPath
  }

  func checkpoint(_ number: Int, _ index: StoreIndex) throws(DiffError) -> any Checkpoint {
    let (anchor, steps) = try descent(to: number, index)
    return steps.isEmpty ? anchor : try LinkedCheckpoint(anchor, steps)
  }

  /// Returns the nearest anchor of a version and the steps from there.
  func descent(
    to number: Int, _ index: StoreIndex
  ) throws(DiffError) -> (anchor: any Checkpoint, steps: [DiffStep]) {
    let (begin, links) = index.descent(to: number)
    let diffs = try files.open(links.compactMap { index.versions[$0].link })
    return (try anchor(begin, index), diffs.map { DiffStep($0) })
  }

  /// Returns the anchor of a version as a checkpoint.
  func anchor(_ number: Int, _ index: StoreIndex) throws(DiffError) -> any Checkpoint {
    guard let anchor = index.versions[number].anchor else { throw unreachable(number, index) }
    return try files.open(anchor)
  }

  func unreachable(_ number: Int, _ index: StoreIndex) -> DiffError {
    DiffError(
      .malformed, "no anchor leads to version '\(index.versions[number].name)'", path: name)
  }

  /// Returns the fingerprints of a version's tensors.
  ///
  /// - Throws: `mismatch` or `checksum` if the links do not lead there.
  func table(_ number: Int, _ index: StoreIndex) throws(DiffError) -> TensorTable {
    let (begin, links) = index.descent(to: number)
    var table = try anchorTable(begin, index)
    let diffs = try files.open(links.compactMap { index.versions[$0].link })
    for (link, diff) in zip(links, diffs) {
      try table.take(diff)
      try require(table, index.versions[link], diff.path)
    }
    return table
  }

  /// Calls `body` with the fingerprints of every version's tensors.
  ///
  /// - Complexity: O(entries of all links).
  func visitTables(
    of index: StoreIndex, _ body: (_ number: Int, _ table: TensorTable) -> Void
  ) throws(DiffError) {
    try index.visit { (number, parent: TensorTable?) throws(DiffError) in
      var table: TensorTable
      if let parent, let link = index.versions[number].link {
        table = parent
        for diff in try files.open([link]) { try table.take(diff) }
      } else {
        table = try anchorTable(number, index)
      }
      body(number, table)
      return table
    }
  }

  /// Returns the fingerprints of an anchor's tensors, as stored beside it or else by hashing it.
  func anchorTable(_ number: Int, _ index: StoreIndex) throws(DiffError) -> TensorTable {
    let version = index.versions[number]
    guard let anchor = version.anchor else { throw unreachable(number, index) }
    if let table = try files.table(of: anchor), table.fingerprint == version.fingerprint {
      return table
    }
    let table = TensorTable(try files.open(anchor).fingerprints())
    try require(table, version, files.path(of: anchor))
    return table
  }

  /// Refuses tensors that are not those of a version.
  func require(
    _ table: TensorTable, _ version: StoreVersion, _ path: String?
  ) throws(DiffError) {
    guard let found = table.fingerprint, found == version.fingerprint else {
      throw DiffError(
        .checksum,
        "leads to \(table.fingerprint.map(\.description) ?? "ambiguous names"), which is not version "
          + "'\(version.name)' (\(version.fingerprint))", path: path)
    }
  }
}
