import Foundation
import SystemSupport
import TensorCore
import TestSupport

/// `diffkit` started several times by Open MPI's `mpirun`.
struct RankedRun {
  /// Why no ranks can be started here; nil: they can.
  static let obstacle: String? = {
    #if Distributed
    guard let tried = try? ChildProcess.run("timeout", ["30", "mpirun"] + options(2) + ["true"])
    else { return "there is no mpirun" }
    return tried.ending == .exit(0)
      ? nil : "mpirun cannot start processes: \(String(decoding: tried.errors, as: UTF8.self))"
    #else
    return "this build has no trait Distributed"
    #endif
  }()

  /// How long all took, from the first process to the last.
  let seconds: Double
  /// Exit code of `mpirun`; 124 if it hung.
  let code: Int32
  /// What the ranks wrote, without the lines of `mpirun` itself.
  let output: String
  let errors: [String]

  /// Runs `diffkit` with some arguments.
  ///
  /// - Parameters:
  ///   - script: A shell's commands before each rank becomes `diffkit`; `$RANK` is its number. It may
  ///     change the arguments, `"$@"`.
  ///   - meanwhile: A shell's commands that run beside the ranks in `folder`, where `rank.N` holds the
  ///     id of each one's process. Metrics of an earlier run, `task.jsonl`, are gone then.
  init(
    _ ranks: Int, in folder: Scratch, _ arguments: [String], script: String = "",
    meanwhile: String = ""
  ) throws {
    let rank = """
      RANK=$OMPI_COMM_WORLD_RANK
      echo $$ > '\(folder.path)/new.'$RANK
      mv '\(folder.path)/new.'$RANK '\(folder.path)/rank.'$RANK
      \(script)
      exec '\(Diffkit.path)' "$@"
      """
    for old in 0..<ranks { try? FileManager.default.removeItem(atPath: folder("rank.\(old)")) }
    if !meanwhile.isEmpty { try? FileManager.default.removeItem(atPath: folder("task.jsonl")) }
    try rank.write(toFile: folder("rank.sh"), atomically: true, encoding: .utf8)
    let whole = """
      cd '\(folder.path)'
      timeout -k 5 100 mpirun "$@" &
      MPIRUN=$!
      \(meanwhile)
      wait $MPIRUN
      """
    let child = try ChildProcess.run(
      "bash", ["-c", whole, "bash"] + Self.options(ranks) + ["sh", folder("rank.sh")] + arguments)
    if case .exit(let code) = child.ending { self.code = code } else { code = -1 }
    seconds = child.seconds
    output = String(decoding: child.output, as: UTF8.self)
    errors = String(decoding: child.errors, as: UTF8.self).split(separator: "\n").map(String.init)
  }

  /// The lines of `diffkit`.
  var lines: [String] { errors.filter { $0.hasPrefix("diffkit: ") } }

  /// More ranks than cores, on this machine alone, without copies between processes that containers
  /// forbid; also as root.
  private static func options(_ ranks: Int) -> [String] {
    [
      "--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "-n", "\(ranks)", "--mca",
      "btl", "self,vader", "--mca", "btl_vader_single_copy_mechanism", "none",
    ]
  }
}
