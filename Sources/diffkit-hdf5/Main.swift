import HDF5Access

/// libhdf5 in a process of its own, where a damaged file can harm nothing else.
@main enum Main {
  static func main() { HelperProgram.run() }
}
