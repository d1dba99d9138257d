// Checkpoints read in this process are those of that module.
@_exported import Checkpoints
