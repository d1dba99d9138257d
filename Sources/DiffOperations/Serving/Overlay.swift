import Checkpoints
import DiffFormat
import SystemSupport
import TensorCore

/// Serves one base model with many finetunes: the base stays in memory, and switching from one diff
/// to another writes only the changed elements.
///
///     let model = try ResidentModel(CheckpointFile.open("base.safetensors"), mapping: true)
///     let overlay = Overlay(model)
///     let sms = try PreparedDiff([DiffReader("sms.diff")], for: model)
///     try overlay.attach(sms)
///     overlay.read { view in classify(with: view) }
///     overlay.detach()  // the base again, bit for bit
///
/// Several diffs are served together by preparing them as one: `PreparedDiff([a, b], for: model)`.
///
/// Threads: any number of them may call `read` at the same time; each sees one diff, or none, for
/// the whole of its closure. `attach` and `detach` wait for the current readers and block later
/// ones, which for 0.5 % of a model takes milliseconds. A diff can be prepared while others read,
/// whatever is attached, but blocks a switch until it is prepared: prepare ahead of time. Inside
/// `read`, no method of the overlay may be called and no diff prepared. The attached diff belongs
/// to the model: two overlays of one model show the same, and releasing one leaves the model
/// unchanged.
public final class Overlay: Sendable {
  /// The model that is patched.
  public let model: ResidentModel

  /// Creates an overlay of a model, whose attached diff is unchanged.
  public init(_ model: ResidentModel) { self.model = model }

  /// True if a diff is attached.
  public var isAttached: Bool { model.lock.reading { model.served.diff != nil } }

  /// Changes the model to the result of `diff`, replacing any diff attached before.
  ///
  /// - Throws: `usage` if it was prepared for another model; the overlay is unchanged then.
  /// - Complexity: O(changes of this diff and of the previous one), on all cores.
  public func attach(_ diff: PreparedDiff) throws(DiffError) {
    guard diff.model == ObjectIdentifier(model) else {
      throw DiffError(.usage, "the diff was prepared for another model", path: model.path)
    }
    model.lock.writing {
      model.served.diff?.store(.base)
      diff.store(.result)
      model.served.diff = diff
    }
  }

  /// Changes the model to the result of `diff` permanently: the result becomes its base, and diffs
  /// that were prepared before must not be attached any more.
  ///
  /// - Parameter body: called before any reader sees the result.
  /// - Throws: `usage` if it was prepared for another model, or inserts or deletes tensors.
  /// - Complexity: O(changes of this diff and of the attached one), on all cores.
  package func advance(
    _ diff: PreparedDiff, _ body: () -> Void = {}
  ) throws(DiffError) {
    guard diff.model == ObjectIdentifier(model), diff.inserted.isEmpty, diff.deleted.isEmpty else {
      throw DiffError(
        .usage, "the diff was prepared for another model, or inserts or deletes tensors",
        path: model.path)
    }
    model.lock.writing {
      model.served.diff?.store(.base)
      model.served.diff = nil
      diff.store(.result)
      body()
    }
  }

  /// Restores the base bit for bit. O(changes), on all cores.
  public func detach() {
    model.lock.writing {
      model.served.diff?.store(.base)
      model.served.diff = nil
    }
  }

  /// Calls `body` with the current tensors; no diff is attached or detached before it returns.
  public func read<Result, Failure: Error>(
    _ body: (borrowing OverlayView) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try model.lock.reading { () throws(Failure) in
      try body(OverlayView(model: model, attached: model.served.diff))
    }
  }
}

/// The tensors of a model with a diff attached. Exists only inside `Overlay.read`.
public struct OverlayView: ~Copyable {
  let model: ResidentModel
  let attached: PreparedDiff?

  /// The names of all tensors, sorted: those of the base without those that the diff deletes, and
  /// those that it inserts.
  public var names: [TensorName] {
    let kept = model.tensors.map(\.name).filter { attached?.deleted.contains($0) != true }
    return (kept + (attached?.inserted.map(\.name) ?? [])).sorted()
  }

  /// Returns the type and shape of a tensor, or nil if the name matches no tensor or several.
  public func tensor(_ name: TensorName) -> (type: ElementType, shape: Shape)? {
    find(name).map { ($0.type, $0.shape) }
  }

  /// Returns the bytes of a tensor, little-endian and row-major, without copying. A name that no
  /// tensor has matches one that differs in separators ('/' and '.') or, failing that, in a final
  /// ':0'.
  ///
  /// - Throws: `mismatch` if the name matches no tensor or several.
  /// - Complexity: O(length of the name).
  @_lifetime(borrow self)
  public func bytes(of name: TensorName) throws(DiffError) -> Span<UInt8> {
    guard let tensor = find(name) else {
      throw DiffError(.mismatch, "no such tensor", path: model.path, tensor: name)
    }
    return tensor.bytes.span(keptBy: self)
  }

  private func find(_ name: TensorName) -> ResidentTensor? {
    // The name of an inserted tensor matches no tensor of the base.
    var found = attached?.insertedByName[name] ?? []
    if found.isEmpty {
      found = model.contents[name].filter { attached?.deleted.contains($0.name) != true }
    }
    return Set(found.map(\.name)).count == 1 ? found[0] : nil
  }
}
