import DiffOperations
import TensorCore

/// A state of a checkpoint that a store keeps.
public struct StoreVersion: Sendable, Hashable {
  /// What it is called, by whoever added it or else by its fingerprint.
  public var name: String
  /// Whether the name was given to it. One without may become part of a longer link.
  public var isNamed: Bool
  /// That of the whole checkpoint (spec/FORMAT.md, 7.4).
  public var fingerprint: Fingerprint
  /// The name of the version that the link leads from; nil of a root, which has an anchor.
  public var parent: String?
  /// The diff from the parent.
  public var link: StoreLink?
  /// A full checkpoint of this version.
  public var anchor: StoreAnchor?
  /// When it was added, in seconds since 1970.
  public var time: UInt64
  /// Facts about it; scores begin with `score.`.
  public var metadata: [String: String]
}

/// A diff in a store, as the index describes it.
public struct StoreLink: Sendable, Hashable {
  /// The ways in which it can be taken.
  public enum Kind: String, Sendable, Hashable, CaseIterable {
    /// Bit-exact in both directions.
    case exact
    /// Forwards only: it adds to floats, or has new bits alone.
    case additive
  }

  /// The identity of the diff, by which its file is named.
  public var identity: Fingerprint
  /// The file.
  public var file: StoreFile
  /// Which ways it leads.
  public var kind: Kind
  /// Elements that change, and elements of the version before.
  public var changes, elements: UInt64
}

/// A full checkpoint in a store: a file, or a folder of files.
public struct StoreAnchor: Sendable, Hashable {
  /// The name in the folder `anchors`.
  public var name: String
  /// Whether it is a folder.
  public var isFolder: Bool
  /// The file under its own name, or the files of the folder.
  public var files: [StoreFile]

  /// Bytes of all files.
  public var size: UInt64 { files.map(\.size).clampedSum }
}

/// A file of a store, which never changes.
public struct StoreFile: Sendable, Hashable {
  /// Its path in the folder that it belongs to.
  public var name: String
  /// Bytes.
  public var size: UInt64
  /// 64 hexadecimal digits.
  public var sha256: String
}

extension String {
  /// Whether this may be the name of a version: 1 to 200 bytes that are a word of a command line and
  /// of a table, and no path.
  package var isVersionName: Bool {
    guard (1...200).contains(utf8.count), let first = utf8.first else { return false }
    return first != UInt8(ascii: ".") && first != UInt8(ascii: "-")
      && unicodeScalars.allSatisfy {
        // To look a character up takes long.
        if $0.isASCII { return "!"..."~" ~= $0 && $0 != "/" && $0 != "\\" }
        return !$0.properties.isWhitespace && !$0.properties.isBidiControl && $0.value > 0x9F
      }
  }

  /// Whether this names a file in a folder, or in folders below it, and nothing else.
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
