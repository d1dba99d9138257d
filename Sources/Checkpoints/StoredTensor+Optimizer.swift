extension StoredTensor {
  /// Whether this is state of an optimizer, which Keras keeps in the file of a whole model.
  public var isOptimizerState: Bool { name.isOptimizerState }
}
