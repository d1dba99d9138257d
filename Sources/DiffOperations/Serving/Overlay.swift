import Checkpoints
import DiffFormat
import SystemSupport
import TensorCore

/// Serves one base model under many finetunes: the base stays in memory, and switching from one
/// diff to another moves the changed elements alone.
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
/// The rule for threads. Any number of them may `read` at the same time; each sees one diff, or
/// none, from the beginning of its closure to the end. `attach` and `detach` wait for the readers
/// that have begun and let later ones wait, which with 0.5 % of a model takes milliseconds. A diff
/// is prepared while others read, whatever is attached, and keeps a switch waiting until it is done:
/// prepare ahead of time. Inside of `read`, none of the overlay's methods may be called and no diff
/// prepared. What is attached belongs to the model: two overlays of one model show the same, and
/// one that goes away leaves the model as it is.
public final class Overlay: Sendable {
  /// The model that is patched.
  public let model: ResidentModel

  /// Serves a model as it is.
  public init(_ model: ResidentModel) { self.model = model }

  /// Whether a diff is attached.
  public var isAttached: Bool { model.lock.reading { model.served.diff != nil } }

  /// Makes the model the result of `diff`, in place of whatever was attached before.
  ///
  /// - Throws: `usage` if it was prepared for another model; the overlay stays as it is.
  /// - Complexity: O(changes of this diff and of the one before), on all cores.
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

  /// Makes the model the result of `diff` for good: that is its base from now on, and other diffs that
  /// were prepared before are of no use any more.
  ///
  /// - Parameter body: is called before any reader sees the result.
  /// - Throws: `usage` if it was prepared for another model, or lets tensors come or go.
  /// - Complexity: O(changes of this diff and of what is attached), on all cores.
  package func advance(
    _ diff: PreparedDiff, _ body: () -> Void = {}
  ) throws(DiffError) {
    guard diff.model == ObjectIdentifier(model), diff.inserted.isEmpty, diff.deleted.isEmpty else {
      throw DiffError(
        .usage, "the diff was prepared for another model, or changes its table", path: model.path)
    }
    model.lock.writing {
      model.served.diff?.store(.base)
      model.served.diff = nil
      diff.store(.result)
      body()
    }
  }

  /// Makes the model its base again, bit for bit. O(changes), on all cores.
  public func detach() {
    model.lock.writing {
      model.served.diff?.store(.base)
      model.served.diff = nil
    }
  }

  /// Calls `body` with the tensors as they are now; no diff comes or goes before it returns.
  public func read<Result, Failure: Error>(
    _ body: (borrowing OverlayView) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try model.lock.reading { () throws(Failure) in
      try body(OverlayView(model: model, attached: model.served.diff))
    }
  }
}

/// The tensors of a model under a diff. Exists inside of `Overlay.read` only.
public struct OverlayView: ~Copyable {
  let model: ResidentModel
  let attached: PreparedDiff?

  /// The names of all tensors, sorted: those of the base, without those that the diff deletes,
  /// and those that it inserts.
  public var names: [TensorName] {
    let kept = model.tensors.map(\.name).filter { attached?.deleted.contains($0) != true }
    return (kept + (attached?.inserted.map(\.name) ?? [])).sorted()
  }

  /// The type and shape of a tensor, or nil if no tensor is meant by that name, or several are.
  public func tensor(_ name: TensorName) -> (type: ElementType, shape: Shape)? {
    find(name).map { ($0.type, $0.shape) }
  }

  /// The bytes of a tensor, little-endian, row-major, without copying. A name that no tensor has
  /// means the one whose name differs in separators ('/' and '.'), or else in a final ':0'.
  ///
  /// - Throws: `mismatch` if no tensor is meant, or several are.
  /// - Complexity: O(length of the name).
  @_lifetime(borrow self)
  public func bytes(of name: TensorName) throws(DiffError) -> Span<UInt8> {
    guard let tensor = find(name) else {
      throw DiffError(.mismatch, "no such tensor", path: model.path, tensor: name)
    }
    return tensor.bytes.span(keptBy: self)
  }

  private func find(_ name: TensorName) -> ResidentTensor? {
    // No tensor that comes has a name that means one that is there.
    var found = attached?.insertedByName[name] ?? []
    if found.isEmpty {
      found = model.contents[name].filter { attached?.deleted.contains($0.name) != true }
    }
    return Set(found.map(\.name)).count == 1 ? found[0] : nil
  }
}
