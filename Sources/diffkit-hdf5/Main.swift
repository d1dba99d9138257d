import HDF5Access

/// Runs libhdf5 in a separate process, so that a damaged file cannot harm the caller.
@main enum Main {
  static func main() { HelperProgram.run() }
}
