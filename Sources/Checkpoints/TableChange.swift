import TensorCore

/// A change to the table of a checkpoint.
public enum TableChange: Sendable, Hashable {
  /// Adds a tensor.
  case insert(TensorName, ElementType, Shape)
  /// Removes the tensor of this name.
  case delete(TensorName)
  /// Changes the shape of the tensor of this name.
  case reshape(TensorName, Shape)
}
