import Checkpoints
import Foundation
import SystemSupport
import TensorCore
import Testing
import TestSupport

/// Files with damaged chunk indexes and object headers, compared with the results of h5py from
/// `mutations.py`: a tensor is the one that h5py reads, or is refused; where h5py refuses it, it is
/// refused or the one without damage.
///
/// A longer list, made by the same script, is read where `DIFFKIT_HDF5_MUTATIONS` names it.
@Suite struct HDF5MutationTests {
  private struct List: Decodable {
    let files: [String: [String: String]]
    let mutations: [Mutation]
  }

  private struct Mutation: Decodable {
    let file: String
    /// Offsets and bytes.
    let changes: [[Int]]
    /// The result of h5py.
    let reads: [String: Found]
  }

  private enum Found: Decodable {
    /// As without the damage.
    case same
    /// Other elements, or what is not compared (nil).
    case other(String?)

    init(from decoder: any Decoder) throws {
      let value = try decoder.singleValueContainer()
      self = (try? value.decode(Bool.self)) == true ? .same : .other(try? value.decode(String.self))
    }
  }

  @Test("tensors that h5py reads are read or refused, those that it refuses refused or undamaged")
  func mutations() throws {
    let path =
      ProcessInfo.processInfo.environment["DIFFKIT_HDF5_MUTATIONS"]
      ?? TestFiles.resources.appending(path: "mutations.json").path
    let list = try JSONDecoder().decode(List.self, from: Data(contentsOf: URL(filePath: path)))
    try #require(list.mutations.count >= 200)
    var (read, refused) = (0, 0)
    try TestFiles.withFolder { folder in
      for (number, mutation) in list.mutations.enumerated() {
        let damaged = "\(folder)/\(number).h5"
        try damage(mutation, damaged)
        let right = try #require(list.files[mutation.file])
        if try check(damaged, mutation.reads, right, "\(number)") {
          read += 1
        } else {
          refused += 1
        }
        try File.remove(damaged)
      }
    }
    // Not everything is refused.
    #expect(read > 20 && refused > 20)
  }

  private func damage(_ mutation: Mutation, _ path: String) throws {
    let original = TestFiles.resources.appending(path: "indexes/\(mutation.file)")
    var bytes = [UInt8](try Data(contentsOf: original))
    for change in mutation.changes { bytes[change[0]] = UInt8(change[1]) }
    try Data(bytes).write(to: URL(filePath: path))
  }

  /// True if the file could be opened.
  private func check(
    _ path: String, _ reads: [String: Found], _ right: [String: String], _ what: String
  ) throws -> Bool {
    guard let checkpoint = try? HDF5Checkpoint(path) else { return false }
    for tensor in checkpoint.tensors {
      guard let bytes = try? checkpoint.bytes(of: tensor) else { continue }
      let found = Fingerprint.of(tensor.type, tensor.shape, bytes.span).description
      switch reads[tensor.name.description] {
      case .other("?"?): break
      case .other(let other?): #expect(found == other, "\(what): \(tensor.name)")
      case .same, .other(nil), nil:
        #expect(found == right[tensor.name.description], "\(what): \(tensor.name)")
      }
    }
    let named =
      checkpoint.tensors.flatMap { [$0.name] + $0.aliases } + checkpoint.skipped.map(\.name)
    let silent = reads.keys.filter { !$0.contains("\\") && !named.contains(TensorName($0)) }
    #expect(silent.isEmpty, "\(what): not even named")
    return true
  }
}
