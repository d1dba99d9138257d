import DiffTraining
import TensorCore

extension Ranks {
  /// Runs the work of a command as one of the ranks. Where all of them fail, the first says why;
  /// where one does, that one says so and ends the others.
  func run(_ body: () throws -> Void) throws {
    do { try body() } catch {
      if count == 1 { throw error }
      guard areLeaving else {
        let text = (error as? DiffError)?.line(\.commandLine) ?? "\(error)"
        StandardError.write("diffkit: rank \(rank) on \(host.escapingControls): \(text)\n")
        abort()
      }
      finish()
      // Another one's exit code would make mpirun end the first before it has spoken.
      if isFirst { throw error }
      return
    }
    finish()
  }

  /// `agree` for what throws errors of all kinds.
  func together<Result>(_ body: () throws -> Result) throws(DiffError) -> Result {
    try agree { () throws(DiffError) in
      do { return try body() } catch let error as DiffError { throw error } catch {
        throw DiffError(.usage, "\(error)", cause: error)
      }
    }
  }
}
