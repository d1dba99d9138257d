extension StoredTensor {
  /// True if this is optimizer state, which Keras stores in the file of a whole model.
  public var isOptimizerState: Bool { name.isOptimizerState }
}
