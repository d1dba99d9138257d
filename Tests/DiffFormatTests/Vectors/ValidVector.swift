import DiffFormat
import TensorCore
import TestSupport

/// A file that every reader must accept.
struct ValidVector: Sendable {
  let name: String
  /// The profile with which the writer gives the same bytes; nil if there is none.
  let profile: EncodingProfile?
  let bytes: [UInt8]

  /// All of them.
  static func all() throws -> [ValidVector] {
    try operations() + tensors() + texts() + positions() + sizes() + examples() + choices()
      + deflateStreams() + limits() + packed()
  }

  /// The output of the writer for `contents`.
  init(_ name: String, _ contents: Contents, _ profile: EncodingProfile = .size) throws {
    self.name = name
    self.profile = profile
    bytes = try contents.encoded(profile: profile)
  }

  /// One entry.
  init(
    _ name: String, _ entry: DiffEntry, _ changes: Changes, _ profile: EncodingProfile = .size
  ) throws {
    try self.init(name, Contents([.init(entry, changes)]), profile)
  }

  /// A file that no writer gives, or not this one.
  init(_ name: String, handmade bytes: [UInt8]) {
    self.name = name
    profile = nil
    self.bytes = bytes
  }
}

/// A shape known to be one.
func shape(_ extents: UInt64...) -> Shape {
  guard let shape = Shape(extents) else { preconditionFailure("no shape: \(extents)") }
  return shape
}

/// An entry and its changes, with all the fingerprints that its operation has, from the old and
/// the new elements.
func exact(
  _ name: TensorName, _ operation: DiffOperation, _ type: ElementType, _ shape: Shape,
  _ old: [UInt8], _ new: [UInt8]
) -> Contents.Tensor {
  let width = type.width
  let changed = (0..<Int(shape.count)).filter {
    old[$0 * width..<($0 + 1) * width] != new[$0 * width..<($0 + 1) * width]
  }
  func elements(_ bytes: [UInt8]) -> [UInt8] {
    changed.flatMap { bytes[$0 * width..<($0 + 1) * width] }
  }
  let before = elements(old)
  let after = elements(new)
  return .init(
    DiffEntry(
      name, operation, type, shape, base: .of(type, shape, old.span),
      result: .of(type, shape, new.span), old: XXH3.hash128(before.span)),
    Changes(
      changed.map(UInt64.init), operation == .xor ? zip(before, after).map { $0 ^ $1 } : after))
}
