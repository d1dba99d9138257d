import TensorCore

/// The contents of an HDF5 file.
package struct HDF5Table {
  /// The tensors, ascending by name.
  package var tensors: [StoredTensor] = []
  /// The objects that are not tensors, with reasons, ascending by name.
  package var skipped: [SkippedObject] = []
  /// The errors of tensors that cannot be read, which are not among the others.
  package var damaged: [DiffError] = []
  /// The text attributes of the root group.
  package var metadata: [String: String] = [:]

  package init() {}
}
