/// The contents of an HDF5 file.
package struct HDF5Table {
  /// The tensors, ascending by name.
  package var tensors: [StoredTensor] = []
  /// The objects that are not tensors, with reasons, ascending by name.
  package var skipped: [SkippedObject] = []
  /// The text attributes of the root group.
  package var metadata: [String: String] = [:]

  package init() {}
}
