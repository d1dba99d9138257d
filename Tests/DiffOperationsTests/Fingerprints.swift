import Checkpoints
import DiffOperations
import Testing

/// Expects that a file holds the tensors of another, by names, types, shapes and fingerprints.
func expectEqual(_ path: String, _ expected: any Checkpoint) throws {
  let found = try openCheckpoint(path)
  #expect(found.tensors.map(\.name) == expected.tensors.map(\.name))
  #expect(found.tensors.map(\.aliases) == expected.tensors.map(\.aliases))
  for (one, other) in zip(found.tensors, expected.tensors) {
    let (hash, wanted) = (
      try fingerprint(of: one, in: found), try fingerprint(of: other, in: expected)
    )
    #expect(hash == wanted, "\(one.name)")
    #expect(one.isBigEndian == other.isBigEndian || one.name.hasPrefix("head"))
  }
}
