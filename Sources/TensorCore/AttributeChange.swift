/// A change of an attribute of a checkpoint. Keras stores in attributes the list and order of a
/// model's tensors, and the structure of its layers.
public struct AttributeChange: Sendable, Hashable, CustomStringConvertible {
  /// The path of the group or dataset in the file; empty for the root.
  public var object: TensorName
  /// The attribute's name.
  public var name: String
  /// The value before and after; nil if the attribute does not exist.
  public var old, new: AttributeValue?

  /// Creates a change.
  public init(object: TensorName, name: String, old: AttributeValue?, new: AttributeValue?) {
    self.object = object
    self.name = name
    self.old = old
    self.new = new
  }

  /// The inverse change.
  public var reversed: AttributeChange {
    AttributeChange(object: object, name: name, old: new, new: old)
  }

  /// The path of the object and the attribute's name.
  public var description: String { "\(object == "" ? "/" : object), attribute '\(name)'" }
}

/// The value of an attribute: a text, or a list of texts.
public struct AttributeValue: Sendable, Hashable {
  /// The texts; one if it is not a list.
  public var texts: [String]
  /// True if it is a list, even of one text.
  public var isList: Bool
  /// True if the file stores texts of variable length instead of fields of equal size.
  public var isVariable: Bool

  /// Creates a list of texts, or a single text, the first.
  public init(_ texts: [String], isList: Bool, isVariable: Bool = false) {
    self.texts = texts
    self.isList = isList
    self.isVariable = isVariable
  }
}
