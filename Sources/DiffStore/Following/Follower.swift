import Checkpoints
import DiffFormat
import DiffOperations
import SystemSupport
import TensorCore

/// Serves a model out of memory and follows a store: the next version is prepared while the present one
/// is read, and takes its place in milliseconds.
///
///     let follower = try Follower(Store("runs"), at: "step-7")
///     follower.read { view, version in answer(with: view) }
///     try follower.prepare("step-8")  // on a thread of its own
///     try follower.commit()
///
/// Any number of threads may `read` at the same time; each sees one version from the beginning of its
/// closure to the end. `commit` waits for those that have begun and lets later ones wait. Inside of
/// `read` none of the follower's methods may be called.
///
/// Where nothing but elements changes, a commit moves the changed ones. Where tensors come, go or get
/// other shapes, `prepare` makes a whole model beside the one that is served, and needs the memory.
public final class Follower: Sendable {
  /// The store, whose index is read anew whenever a version is prepared.
  public let store: Store

  private let state: Guarded<State>
  /// Held while a version is prepared or committed.
  private let work = Lock()

  private struct State: Sendable {
    var served: Served
    var prepared: Prepared?
  }

  /// A model and the version that it is at, which changes while no reader is there.
  private final class Served: Sendable {
    let overlay: Overlay
    let version: Guarded<StoreVersion>

    init(_ model: ResidentModel, _ version: StoreVersion) {
      overlay = Overlay(model)
      self.version = Guarded(version)
    }
  }

  /// What a commit brings, and for which model.
  private struct Prepared: Sendable {
    let version: StoreVersion
    let change: Change
    /// The version that it was prepared on.
    let base: Fingerprint

    enum Change: Sendable {
      case diff(PreparedDiff)
      case model(ResidentModel)
      case nothing
    }
  }

  /// Reads a version into memory and verifies it.
  ///
  /// - Throws: what `Store.checkpoint(of:)` throws; `checksum` if it is not what the index says.
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

  /// The version that the next commit brings, if one is prepared.
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

  /// Gets a version ready, in place of one that was prepared before: reads the links on the way there,
  /// verifies the tensors that change before and after, and keeps what a commit has to move.
  ///
  /// - Throws: what reading the store throws; what is served stays as it is.
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
    // Its version may be gone from the store, or have another name there.
    let begin = index.versions.firstIndex { $0.fingerprint == current.fingerprint }
    if let begin {
      let route = StoreRoute(from: begin, to: end, in: index, copies: false)
      if route.anchor == nil,
        let diff = try PreparedDiff(store.route(route, index).steps, for: model)
      {
        return .diff(diff)
      }
    }
    return .model(try Self.load(index.versions[end].name, store).0)
  }

  /// Makes the version that was prepared the one that is served.
  ///
  /// - Returns: the version.
  /// - Throws: `usage` if none was prepared.
  /// - Complexity: O(changes), on all cores, besides the readers that are waited for.
  @discardableResult
  public func commit() throws(DiffError) -> StoreVersion {
    try work.withLock { () throws(DiffError) in
      let (served, next) = state.withLock { ($0.served, $0.prepared) }
      guard let next else {
        throw DiffError(.usage, "no version was prepared to be committed", path: store.name)
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
