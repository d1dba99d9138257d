// Part of this module's interface: errors, element types, shapes, fingerprints, and files as
// sources of bytes.
@_exported import TensorCore
@_exported import class SystemSupport.File
