// Diffs and checkpoints are what this module's functions take.
@_exported import Checkpoints
@_exported import DiffFormat
