import Checkpoints
import DiffOperations
import Testing

/// Expects that a file holds the tensors of another, by names, types, shapes and fingerprints.
func expectEqual(_ path: String, _ expected: any Checkpoint) throws {
  let found = try CheckpointFile.open(path)
  #expect(found.tensors.map(\.name) == expected.tensors.map(\.name))
  #expect(found.tensors.map(\.aliases) == expected.tensors.map(\.aliases))
  for (one, other) in zip(found.tensors, expected.tensors) {
    let (hash, wanted) = (
      try found.fingerprint(of: one), try expected.fingerprint(of: other)
    )
    #expect(hash == wanted, "\(one.name)")
    #expect(one.isBigEndian == other.isBigEndian || one.name.parts[0].hasPrefix("head"))
  }
}
