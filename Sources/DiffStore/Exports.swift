// Versions, diffs and checkpoints are what the functions of this module take and return.
@_exported import DiffOperations
