/// Checkpoints by their paths: `CheckpointFile.open`, `make` and `recover`.
public enum CheckpointFile {}
