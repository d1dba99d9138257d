import SystemSupport

/// The rank of this process and the number of processes, as the variables of a launcher specify.
package struct Launch: Sendable, Hashable {
  /// The rank of this process, and the number of all.
  package let rank, count: Int

  /// Reads the variables of a launcher.
  ///
  /// - Parameter variable: Returns a variable of the process's environment.
  package init(_ variable: (String) -> String?) {
    // Open MPI's mpirun; MPICH's and Slurm's PMI; MVAPICH; srun, with or without a plugin for MPI.
    let names = [
      ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"), ("PMI_RANK", "PMI_SIZE"),
      ("MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE"), ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
    ]
    for (rank, count) in names {
      guard let count = variable(count).flatMap({ Int($0) }), count > 1 else { continue }
      self.rank = variable(rank).flatMap { Int($0) } ?? 0
      self.count = count
      return
    }
    (rank, count) = (0, 1)
  }

  /// The launch of this process.
  static var current: Launch {
    Launch(ProgramFiles.environmentVariable)
  }
}
