import CHDF5
import Checkpoints
import TensorCore

/// An owned identifier of libhdf5, of any kind, which is released with the value.
struct HDF5Handle: ~Copyable {
  let id: hid_t

  /// Takes ownership of an identifier that a call returned; `what` begins the message if the call
  /// failed.
  init(_ id: hid_t, _ what: @autoclosure () -> String) throws(DiffError) {
    guard id >= 0 else { throw HDF5Library.error(.unsupportedCheckpoint, what()) }
    self.id = id
  }

  deinit {
    HDF5Library.lock()
    H5Idec_ref(id)
    HDF5Library.unlock()
  }
}

extension Int32 {
  /// Throws the error that libhdf5 reports if this is the status of a failed call.
  func orThrow(_ what: @autoclosure () -> String) throws(DiffError) {
    guard self >= 0 else { throw HDF5Library.error(.unsupportedCheckpoint, what()) }
  }
}
