// The bytes of names, numbers and files, which this module's interface speaks of.
@_exported import Bytes
