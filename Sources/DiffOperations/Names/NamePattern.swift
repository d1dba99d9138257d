import TensorCore

/// A name in which `*` stands for any text, also none, and `?` for one Unicode scalar.
public struct NamePattern: Sendable, Hashable {
  /// The pattern as it was given.
  public let text: String
  private let scalars: [Unicode.Scalar]
  private let joinsSeparators: Bool

  /// A pattern.
  ///
  /// - Parameter joiningSeparators: Whether '/' and '.' are the same, as where names of different
  ///   checkpoints are matched.
  public init(_ text: String, joiningSeparators: Bool = true) {
    self.text = text
    joinsSeparators = joiningSeparators
    scalars = text.scalars(joiningSeparators)
  }

  /// Whether a name fits, from its beginning to its end.
  ///
  /// - Complexity: O(name · stars).
  public func matches(_ name: TensorName) -> Bool {
    let name = name.description.scalars(joinsSeparators)
    var (at, place) = (0, 0)
    // The last star takes one scalar more whenever the rest does not fit: no star before it ever
    // has to be tried again.
    var star: (at: Int, place: Int)?
    while place < name.count {
      if at < scalars.count, scalars[at] == "*" {
        star = (at, place)
        at += 1
      } else if at < scalars.count, scalars[at] == "?" || scalars[at] == name[place] {
        at += 1
        place += 1
      } else if let last = star {
        star = (last.at, last.place + 1)
        (at, place) = (last.at + 1, last.place + 1)
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
