import CHDF5
import Checkpoints
import TensorCore

extension HDF5File {
  /// Gives the root group an attribute: a text of fixed length, in UTF-8.
  ///
  /// - Throws: `unsupported` if HDF5 cannot hold it, as it cannot hold 64 KB in old formats.
  func setAttribute(_ name: String, _ text: String) throws(DiffError) {
    HDF5Library.lock()
    defer { HDF5Library.unlock() }
    let what = "the attribute '\(name)' cannot be created"
    guard !name.isEmpty, !name.utf8.contains(0) else { throw DiffError(.unsupported, what) }
    let datatype = try HDF5Handle(H5Tcopy(dk_H5T_C_S1()), what)
    // A text of no bytes needs a place all the same.
    let bytes = text.utf8.isEmpty ? [0] : Array(text.utf8)
    try H5Tset_size(datatype.id, bytes.count).orThrow(what)
    try H5Tset_cset(datatype.id, H5T_CSET_UTF8).orThrow(what)
    try H5Tset_strpad(datatype.id, H5T_STR_NULLPAD).orThrow(what)
    let space = try HDF5Handle(H5Screate(H5S_SCALAR), what)
    let attribute = try HDF5Handle(
      unsafe H5Acreate2(
        handle.id, name, datatype.id, space.id, dk_H5P_DEFAULT, dk_H5P_DEFAULT), what)
    try unsafe H5Awrite(attribute.id, datatype.id, bytes).orThrow(what)
  }
}
