import Checkpoints
import DiffFormat
import DiffOperations
import SystemSupport
import TensorCore

/// A model in memory that follows a store: the next version is prepared while the present one is
/// read, and replaces it in milliseconds.
///
///     let follower = try Follower(Store("runs"), at: "step-7")
///     follower.read { view, version in answer(with: view) }
///     try follower.prepare("step-8")  // on another thread
///     try follower.commit()
///
/// Any number of threads may `read` at the same time; each sees one version from the beginning of
/// its closure to the end. `commit` waits for those that have begun and makes later ones wait. The
/// closure of `read` must not call methods of the follower.
///
/// If only elements change, a commit writes the changed ones. If tensors are inserted, deleted or
/// reshaped, `prepare` reads a second model beside the one that is served, and needs its memory.
public final class Follower: Sendable {
  /// The store, whose index is read again whenever a version is prepared.
  public let store: Store

  private let state: Guarded<State>
  /// Held while a version is prepared or committed.
  private let work = Lock()

  private struct State: Sendable {
    var served: Served
    var prepared: Prepared?
  }

  /// A model and its version, which changes only while there is no reader.
  private final class Served: Sendable {
    let overlay: Overlay
    let version: Guarded<StoreVersion>

    init(_ model: ResidentModel, _ version: StoreVersion) {
      overlay = Overlay(model)
      self.version = Guarded(version)
    }
  }

  /// A prepared version, and the change that commits it.
  private struct Prepared: Sendable {
    let version: StoreVersion
    let change: Change
    /// The fingerprint of the version that it was prepared on.
    let base: Fingerprint

    enum Change: Sendable {
      case diff(PreparedDiff)
      case model(ResidentModel)
      case nothing
    }
  }

  /// Reads a version into memory and verifies it.
  ///
  /// - Throws: the errors of `Store.checkpoint(of:)`; `checksum` if it does not match the index.
  /// - Complexity: O(bytes), twice.
  public init(_ store: Store, at name: String) throws(DiffError) {
    self.store = store
    let (model, version) = try Self.load(name, store)
    state = Guarded(State(served: Served(model, version)))
  }

  private static func load(
    _ name: String, _ store: Store
  ) throws(DiffError) -> (ResidentModel, StoreVersion) {
    let version = try store.version(name)
    let model = try ResidentModel(store.checkpoint(of: name))
    try store.require(TensorTable(model.fingerprints()), version, store.name)
    return (model, version)
  }

  /// The version that is served.
  public var version: StoreVersion {
    state.withLock { $0.served }.version.withLock { $0 }
  }

  /// The version that is prepared for the next commit; nil if there is none.
  public var prepared: StoreVersion? { state.withLock { $0.prepared?.version } }

  /// Calls `body` with the tensors as they are now, and the name of the version.
  public func read<Result, Failure: Error>(
    _ body: (borrowing OverlayView, String) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let served = state.withLock { $0.served }
    return try served.overlay.read { (view) throws(Failure) in
      try body(view, served.version.withLock { $0.name })
    }
  }

  /// Prepares a version, instead of one that was prepared before: reads the links to it, verifies
  /// the tensors that change before and after, and keeps the changes for `commit`.
  ///
  /// - Throws: the errors of reading the store; the served version does not change.
  /// - Complexity: O(bytes of the tensors that change + changes); memory of the changes.
  public func prepare(_ name: String) throws(DiffError) {
    try work.withLock { () throws(DiffError) in
      try store.refresh()
      let index = store.index
      let end = try index.number(of: name)
      let served = state.withLock { $0.served }
      let current = served.version.withLock { $0 }
      let change = try change(served.overlay.model, from: current, to: end, index)
      store.files.writeNotes()
      let prepared = Prepared(
        version: index.versions[end], change: change, base: current.fingerprint)
      state.withLock { $0.prepared = prepared }
    }
  }

  private func change(
    _ model: ResidentModel, from current: StoreVersion, to end: Int, _ index: StoreIndex
  ) throws(DiffError) -> Prepared.Change {
    if index.versions[end].fingerprint == current.fingerprint { return .nothing }
    // The store may have removed or renamed the version.
    let route = StoreRoute(from: current.fingerprint, to: end, in: index, anchors: .bytes)
    if let route, !route.isFromAnchor,
      let diff = try PreparedDiff(store.open(route.steps, index), for: model)
    {
      return .diff(diff)
    }
    return .model(try Self.load(index.versions[end].name, store).0)
  }

  /// Serves the prepared version.
  ///
  /// - Returns: the version.
  /// - Throws: `usage` if none is prepared.
  /// - Complexity: O(changes), on all cores, after waiting for readers.
  @discardableResult
  public func commit() throws(DiffError) -> StoreVersion {
    try work.withLock { () throws(DiffError) in
      let (served, next) = state.withLock { ($0.served, $0.prepared) }
      guard let next else {
        throw DiffError(.usage, "no version is prepared for a commit", path: store.name)
      }
      precondition(next.base == served.version.withLock { $0.fingerprint })
      switch next.change {
      case .nothing: served.version.withLock { $0 = next.version }
      case .diff(let diff):
        try served.overlay.advance(diff) { served.version.withLock { $0 = next.version } }
      case .model(let model):
        let served = Served(model, next.version)
        state.withLock { $0.served = served }
      }
      state.withLock { $0.prepared = nil }
      return next.version
    }
  }
}
