extension String {
  /// The parts of a tensor's name: PyTorch joins them with dots, HDF5 with slashes.
  package var nameParts: [String] { split { $0 == "." || $0 == "/" }.map(String.init) }
}
