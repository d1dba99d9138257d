// Errors, element types, shapes and fingerprints are part of this module's interface.
@_exported import TensorCore
