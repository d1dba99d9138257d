/// What becomes of an attribute of a checkpoint: Keras' files list in attributes which tensors a model
/// has, in which order, and how its layers are put together.
public struct AttributeChange: Sendable, Hashable, CustomStringConvertible {
  /// The path of the group or dataset in the file; empty for the root.
  public var object: TensorName
  /// The attribute's name.
  public var name: String
  /// The attribute before and after; nil where it is not there.
  public var old, new: AttributeValue?

  /// A change.
  public init(object: TensorName, name: String, old: AttributeValue?, new: AttributeValue?) {
    self.object = object
    self.name = name
    self.old = old
    self.new = new
  }

  /// The change back.
  public var reversed: AttributeChange {
    AttributeChange(object: object, name: name, old: new, new: old)
  }

  /// Where the attribute is, and its name.
  public var description: String { "\(object == "" ? "/" : object), attribute '\(name)'" }
}

/// The value of an attribute: a text, or a list of texts.
public struct AttributeValue: Sendable, Hashable {
  /// The texts; one if it is no list.
  public var texts: [String]
  /// Whether it is a list, be it of one text.
  public var isList: Bool
  /// Whether the file stores each text in its own length, in place of fields of equal size.
  public var isVariable: Bool

  /// A list of texts, or the first of them.
  public init(_ texts: [String], isList: Bool, isVariable: Bool = false) {
    self.texts = texts
    self.isList = isList
    self.isVariable = isVariable
  }
}
