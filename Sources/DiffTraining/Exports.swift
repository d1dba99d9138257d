// Checkpoints are what training begins with, diffs what it makes.
@_exported import DiffOperations
