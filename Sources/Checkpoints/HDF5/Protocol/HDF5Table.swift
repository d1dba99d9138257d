/// What is in an HDF5 file.
package struct HDF5Table {
  /// The tensors, ascending by name.
  package var tensors: [StoredTensor] = []
  /// What is no tensor, and why, in the order of the names.
  package var skipped: [SkippedObject] = []
  /// The texts among the attributes of the root group.
  package var facts: [String: String] = [:]

  package init() {}
}
