// The interface of Checkpoints is part of this module's interface.
@_exported import Checkpoints
