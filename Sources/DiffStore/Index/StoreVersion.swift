import DiffOperations
import TensorCore

/// A version of a checkpoint in a store.
public struct StoreVersion: Sendable, Hashable {
  /// The name; by default the beginning of the fingerprint.
  public var name: String
  /// True if the name was specified. `compact` may combine the links of other versions.
  public var isNamed: Bool
  /// The fingerprint of the whole checkpoint (spec/FORMAT.md, 7.4).
  public var fingerprint: Fingerprint
  /// The name of the version that the link leads from; nil of a root, which has an anchor.
  public var parent: String?
  /// The diff from the parent.
  public var link: StoreLink?
  /// A full checkpoint of this version.
  public var anchor: StoreAnchor?
  /// The time at which it was added, in seconds since 1970.
  public var time: UInt64
  /// The metadata of the version; the keys of scores begin with `score.`.
  public var metadata: [String: String]
}

/// A link: a diff from a version to a child, as the index describes it.
public struct StoreLink: Sendable, Hashable {
  /// The directions in which a link can be applied.
  public enum Kind: String, Sendable, Hashable, CaseIterable {
    /// Bit-exact in both directions.
    case exact
    /// Forward only: an operation adds, or replaces without the old values.
    case additive
  }

  /// The identity of the diff, after which its file is named.
  public var identity: Fingerprint
  /// The file.
  public var file: StoreFile
  /// The directions in which it can be applied.
  public var kind: Kind
  /// The number of changed elements, and of all elements of the parent.
  public var changes, elements: UInt64
}

/// An anchor: a full checkpoint in a store, as a file or a folder of files.
public struct StoreAnchor: Sendable, Hashable {
  /// The name in the folder `anchors`.
  public var name: String
  /// True if it is a folder.
  public var isFolder: Bool
  /// The file, with the anchor's name, or the files of the folder.
  public var files: [StoreFile]

  /// The size of all files in bytes.
  public var size: UInt64 { files.map(\.size).clampedSum }
}

/// A file of a store, which never changes.
public struct StoreFile: Sendable, Hashable {
  /// The path relative to the folder `links`, `anchors` or `model`, or to an anchor that is a folder.
  public var name: String
  /// The size in bytes.
  public var size: UInt64
  /// The SHA-256 of the contents, in 64 hexadecimal digits.
  public var sha256: String
}

extension String {
  /// True if the string is a valid name of a version: 1 to 200 bytes that are one word on a command
  /// line and in a table, and not a path.
  package var isVersionName: Bool {
    guard (1...200).contains(utf8.count), let first = utf8.first else { return false }
    return first != UInt8(ascii: ".") && first != UInt8(ascii: "-")
      && unicodeScalars.allSatisfy {
        // Looking up the properties of a character is slow.
        if $0.isASCII { return "!"..."~" ~= $0 && $0 != "/" && $0 != "\\" }
        return !$0.properties.isWhitespace && !$0.properties.isBidiControl && $0.value > 0x9F
      }
  }

  /// True if the string is a relative path of a file below a folder.
  var isPathBelow: Bool {
    let parts = utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    return utf8.count < 4096 && !utf8.contains(0)
      && parts.allSatisfy { part in
        part.contains { $0 != UInt8(ascii: ".") } || part.count > 2
      }
  }

  var isSHA256: Bool {
    utf8.count == 64 && utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
  }
}
