import DiffFormat
import TensorCore
import Testing
import TestSupport

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Structure-aware fuzzing. A trap ends the whole run: then `DIFFKIT_FUZZ_SEED` and
/// `DIFFKIT_FUZZ_ITERATIONS` bisect to the seed. A minute makes about a million executions.
@Suite struct FuzzTests {
  private static func variable(_ name: String, _ fallback: UInt64) -> UInt64 {
    ProcessInfo.processInfo.environment[name].flatMap(UInt64.init) ?? fallback
  }

  @Test("a mutated file is read or refused, and the result is valid")
  func mutated() throws {
    let first = Self.variable("DIFFKIT_FUZZ_SEED", TestSeed.value)
    let iterations = Self.variable("DIFFKIT_FUZZ_ITERATIONS", 4000)
    var outcomes: [String: Int] = [:]
    for seed in first..<first + iterations {
      var mutator = Mutator(seed: seed)
      let profile: EncodingProfile = seed % 3 == 0 ? .speed : .size
      let contents = Contents.random(&mutator.random)
      let file = try contents.encoded(profile: profile)
      #expect(try DiffReader(bytes: file).contents() == contents, "seed \(seed)")
      for _ in 0..<16 { outcomes[read(mutator.mutate(file), seed), default: 0] += 1 }
    }
    // The mutator tests nothing if it only breaks checksums, or nothing.
    #expect(outcomes["malformed", default: 0] > outcomes.values.reduce(0, +) / 4, "\(outcomes)")
    #expect(outcomes["accepted", default: 0] > 0, "\(outcomes)")
    #expect(outcomes["limit", default: 0] > 0, "\(outcomes)")
    #expect(outcomes["io"] == nil && outcomes["usage"] == nil, "\(outcomes)")
    print("fuzzing: \(outcomes.sorted { $0.key < $1.key })")
  }

  /// Reads everything; returns the outcome.
  private func read(_ file: [UInt8], _ seed: UInt64) -> String {
    do throws(DiffError) {
      let reader = try DiffReader(bytes: file)
      for entry in reader {
        #expect(reader.entry(named: entry.name) == entry, "seed \(seed)")
        for stream in entry.operation.streams { _ = try reader.encodings(of: entry, stream) }
      }
      let contents = try reader.contents()
      for tensor in contents.tensors {
        for (stream, changes) in tensor.streams { check(tensor, stream, changes, seed) }
      }
      return "accepted"
    } catch {
      #expect(error.offset.map { $0 <= UInt64(file.count) } == true, "seed \(seed): \(error)")
      return error.code.description
    }
  }

  /// Checks the guarantees of a reader about its results.
  private func check(
    _ tensor: Contents.Tensor, _ stream: DiffStream, _ changes: Changes, _ seed: UInt64
  ) {
    let positions = changes.positions
    let shapes = [tensor.entry.shape.count, tensor.entry.newShape?.count ?? 0]
    let isInside = (positions.last ?? 0) < max(1, shapes.max() ?? 0)
    let ascends = zip(positions, positions.dropFirst()).allSatisfy { $0 < $1 }
    #expect(isInside && ascends, "seed \(seed), \(stream)")
    #expect(changes.values.count == positions.count * tensor.entry.valueWidth, "seed \(seed)")
  }

  @Test("accepted contents have one form", arguments: [0, 1, 2, 3] as [UInt64])
  func oneForm(seed: UInt64) throws {
    // Two files that hold the same and chose the same encodings are the same file. Deflated
    // planes, optional flags and Rice parameters aside, a writer chooses per page; so a mutation
    // of an index that is accepted and keeps pages and contents can only be the identity.
    var mutator = Mutator(seed: seed)
    for _ in 0..<500 {
      let contents = Contents.random(&mutator.random)
      let file = try contents.encoded(profile: .speed)
      let mutated = mutator.mutate(file)
      guard let reader = try? DiffReader(bytes: mutated), let back = try? reader.contents(),
        back == contents, DiffImage(mutated).pages == DiffImage(file).pages,
        mutated[..<24] == file[..<24]
      else { continue }
      #expect(mutated == file, "seed \(seed)")
    }
  }
}
