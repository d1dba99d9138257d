// The interface of Bytes is part of this module's interface.
@_exported import Bytes
