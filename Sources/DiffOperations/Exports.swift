// The functions of this module take diffs and checkpoints.
@_exported import Checkpoints
@_exported import DiffFormat
