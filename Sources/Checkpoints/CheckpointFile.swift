/// A namespace for functions that take a checkpoint's path: `open`, `make` and `recover`.
public enum CheckpointFile {}
