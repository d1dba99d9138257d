import TensorCore

/// A name pattern in which `*` matches any text, including none, and `?` one Unicode scalar.
public struct NamePattern: Sendable, Hashable {
  /// The pattern as given.
  public let text: String
  private let scalars: [Unicode.Scalar]
  private let joinsSeparators: Bool

  /// Creates a pattern.
  ///
  /// - Parameters:
  ///   - text: the pattern, in which `*` and `?` are wildcards.
  ///   - joiningSeparators: whether '/' and '.' are equal, as for names of different checkpoints.
  public init(_ text: String, joiningSeparators: Bool = true) {
    self.text = text
    joinsSeparators = joiningSeparators
    scalars = text.scalars(joiningSeparators)
  }

  /// Returns whether the pattern matches a whole name.
  ///
  /// - Complexity: O(name · stars).
  public func matches(_ name: TensorName) -> Bool {
    let name = name.description.scalars(joinsSeparators)
    var (at, index) = (0, 0)
    // Whenever the rest does not match, the last star takes one more scalar: no star before it ever
    // has to be tried again.
    var star: (at: Int, index: Int)?
    while index < name.count {
      if at < scalars.count, scalars[at] == "*" {
        star = (at, index)
        at += 1
      } else if at < scalars.count, scalars[at] == "?" || scalars[at] == name[index] {
        at += 1
        index += 1
      } else if let last = star {
        star = (last.at, last.index + 1)
        (at, index) = (last.at + 1, last.index + 1)
      } else {
        return false
      }
    }
    return scalars[at...].allSatisfy { $0 == "*" }
  }
}

extension String {
  fileprivate func scalars(_ joiningSeparators: Bool) -> [Unicode.Scalar] {
    unicodeScalars.map { joiningSeparators && $0 == "." ? "/" : $0 }
  }
}
