import SystemSupport
import TensorCore

/// An item of a checkpoint that is not a tensor: an object, an attribute, an entry of the metadata,
/// another file of its folder.
public struct OtherContent: Sendable, Hashable {
  /// The path of the object, or of the object that has the attribute.
  public var name: TensorName
  /// The name of the attribute, if it is one.
  public var attribute: String?
  /// A description of the item, such as `text (strings)`.
  public var kind: String
  /// The value, if it is a text attribute.
  public var value: AttributeValue?
  /// A hash of the contents; nil if they cannot be read.
  public var digest: Fingerprint?

  package init(
    _ name: TensorName, attribute: String? = nil, value: AttributeValue? = nil, _ kind: String,
    _ digest: Fingerprint?
  ) {
    self.name = name
    self.attribute = attribute
    self.value = value
    self.kind = kind
    self.digest = digest
  }
}

extension File {
  /// Hashes `first` followed by all bytes of the file, or a range of them.
  package func digest(
    of range: Range<UInt64>? = nil, after first: [UInt8] = []
  ) throws(DiffError) -> Fingerprint {
    var stream = XXH3Stream()
    stream.update(first.span)
    var offset = range?.lowerBound ?? 0
    let end: UInt64
    if let range { end = range.upperBound } else { end = try size }
    while offset < end {
      let bytes = try bytes(at: offset, count: Int(min(1 << 20, end - offset)))
      stream.update(bytes.span)
      offset += UInt64(bytes.count)
    }
    return stream.digest
  }
}
