import TensorCore

/// A change to the table of a checkpoint.
public enum TableChange: Sendable, Hashable {
  /// A new tensor.
  case insert(TensorName, ElementType, Shape)
  /// The end of the tensor of this name.
  case delete(TensorName)
  /// Another shape for the tensor of this name.
  case reshape(TensorName, Shape)
}
