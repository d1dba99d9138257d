extension StoredTensor {
  /// Whether this is state of an optimizer, which Keras keeps in the file of a whole model: below
  /// `optimizer_weights` (HDF5 of Keras 1 to 3) or `optimizer/vars` (`.weights.h5`).
  public var isOptimizerState: Bool {
    let parts = name.parts
    guard parts.count > 1 else { return false }
    return parts[0] == "optimizer_weights"
      || parts[0] == "optimizer" && parts[1] == "vars" && parts.count > 2
  }
}
