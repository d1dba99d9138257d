import DiffFormat
import Foundation
import StrictJSON
import SystemSupport
import TensorCore
import Testing
import TestSupport

#if !Distributed
/// `train` in a build without the trait `Distributed`.
@Suite struct WithoutRanksTests {
  @Test("started several times it is refused by name: four trainings over one output are none")
  func refusesLaunchers() throws {
    try Scratch.with { scratch in
      let model = try TinyModel(scratch)
      func run(_ variables: [String]) throws -> Answer {
        Answer(
          try ChildProcess.run(
            "env",
            variables + [
              Diffkit.path, "train", model.path, "--task", TinyModel.questions, "-o",
              scratch("task.diff"),
            ]))
      }
      for (rank, count) in [
        ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"), ("PMI_RANK", "PMI_SIZE"),
        ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
      ] {
        expectTrouble(try run(["\(rank)=0", "\(count)=4"]), "one of 4 processes", "Distributed")
        // The first one says it for all.
        expectSuccess(try run(["\(rank)=3", "\(count)=4"]))
      }
      #expect(!scratch.exists("task.diff") && !scratch.exists("task.diff.state"))
    }
  }
}
#else
/// `train` by several ranks of MPI, on a model of one layer.
@Suite(
  .serialized,
  .enabled(if: RankedRun.obstacle == nil, "\(RankedRun.obstacle ?? "")"))
struct DistributedTests {
  @Test("1, 2 and 4 ranks take the same steps, as near as 1 and 2 threads of one process")
  func sameTraining() throws {
    try Scratch.with { scratch in
      let task = try RankedTask(scratch)
      let one = try task.train("one", ranks: 1)
      let threads = try task.train("threads", ranks: 1, threads: 2)
      let floor = (distance: threads.distance(one), overlap: threads.overlap(one))
      for ranks in [2, 4] {
        let several = try task.train("ranks\(ranks)", ranks: ranks)
        #expect(several.losses.count == one.losses.count && several.stages == one.stages)
        #expect(
          several.distance(one) <= max(2 * floor.distance, 1e-4),
          "\(ranks) ranks: \(several.distance(one)), threads: \(floor.distance)")
        #expect(
          several.overlap(one) >= min(floor.overlap, 1) - 0.01,
          "\(ranks) ranks: \(several.overlap(one)), threads: \(floor.overlap)")
        for (name, score) in one.scores {
          let other = try #require(several.scores[name])
          #expect(abs(other - score) <= abs(threads.scores[name, default: 0] - score) + 0.01)
        }
        #expect(several.diff.metadata["train.ranks"] == "\(ranks)")
        #expect(several.traffic.count == one.losses.count && one.traffic.isEmpty)
      }
    }
  }

  @Test(
    "every method is trained by ranks as by one",
    arguments: [
      "structured", "unstructured", "full", "magnitude", "fisher", "random", "bitfit", "last-layer",
    ])
  func methods(_ method: String) throws {
    try Scratch.with { scratch in
      let task = try RankedTask(scratch)
      let more = [
        "--method", method, "--epochs", "1", "--fixed-epochs", "1", "--accumulate", "2",
        "--weight-decay", "0.01",
      ]
      let one = try task.train("one", ranks: 1, more)
      let two = try task.train("two", ranks: 2, more)
      #expect(two.distance(one) <= 2e-3, "\(two.distance(one))")
      #expect(two.overlap(one) >= 0.98, "\(two.overlap(one))")
    }
  }

  @Test("numbers, and questions on contexts, are trained and scored by ranks as by one")
  func kinds() throws {
    try Scratch.with { scratch in
      let task = try RankedTask(scratch)
      for path in [scratch("numbers.tsv"), TinyModel.questions] {
        let more = ["--epochs", "2", "--fixed-epochs", "1", "--max-length", "48", "--best"]
        let one = try task.train("one", ranks: 1, task: path, more + ["--force"])
        let three = try task.train("three", ranks: 3, task: path, more + ["--force"])
        #expect(three.distance(one) <= 2e-3, "\(path): \(three.distance(one))")
        #expect(three.scores.keys == one.scores.keys && !one.scores.isEmpty)
        for (name, score) in one.scores {
          #expect(abs(try #require(three.scores[name]) - score) <= 0.05, "\(path): \(name)")
        }
      }
    }
  }

  @Test("two runs of as many ranks give the same bytes, also if a rank is late by 100 ms")
  func sameBytes() throws {
    try Scratch.with { scratch in
      let task = try RankedTask(scratch)
      let first = try task.train("task", ranks: 3)
      let late = """
        while [ ! -s rank.1 ] || [ ! -s task.jsonl ]; do sleep 0.01; done
        kill -STOP $(cat rank.1); sleep 0.1; kill -CONT $(cat rank.1)
        """
      let second = try task.train("task", ranks: 3, ["--force"], meanwhile: late)
      #expect(first.bytes == second.bytes)
      #expect(first.losses == second.losses && first.traffic == second.traffic)
    }
  }

  @Test("the selection's stage sends the kept values and the head, and no others")
  func traffic() throws {
    try Scratch.with { scratch in
      let task = try RankedTask(scratch)
      let gated = try task.train("gated", ranks: 2)
      let full = try task.train("full", ranks: 2, ["--method", "full"])
      let head = 2 * 64 + 2
      let kept = gated.mask.count
      let bound = Double(4 * (kept + head)) * 1.05 + 64
      for (stage, bytes) in zip(gated.stages, gated.traffic) where stage == "fixed" {
        #expect(Double(bytes) <= bound, "\(bytes) bytes for \(kept) + \(head) values")
      }
      let most = try #require(full.traffic.max())
      #expect(full.traffic.allSatisfy { $0 > 4 * UInt64(kept) } && most > 0)
    }
  }

  @Test("a killed rank ends all within 10 s, the state stays, and --resume gives the same bytes")
  func killedRank() throws {
    try Scratch.with { scratch in
      let task = try RankedTask(scratch)
      let whole = try task.train("task", ranks: 2)
      for victim in [0, 1] {
        let kill = """
          while [ ! -s task.diff.state ]; do sleep 0.01; done
          kill -KILL $(cat rank.\(victim)); date +%s.%N > killed
          """
        let run = try RankedRun(
          2, in: scratch, task.arguments("task", ["--force", "--anew", "--save-every", "1e-9"]),
          meanwhile: kill)
        let end = Date().timeIntervalSince1970
        let start = try #require(
          Double(
            String(contentsOfFile: scratch("killed"), encoding: .utf8)
              .trimmingCharacters(in: .whitespacesAndNewlines)))
        #expect(run.code != 0 && end - start < 10, "\(end - start) s")
        // mpirun says which rank died; diffkit has nothing to add.
        #expect(run.errors.contains { $0.contains("rank \(victim)") }, "\(run.errors)")
        #expect(run.lines == [], "\(run.errors)")
        let resumed = try task.train("task", ranks: 2, ["--force", "--resume"])
        #expect(resumed.bytes == whole.bytes && resumed.losses == whole.losses)
      }
    }
  }

  @Test("a rank that hangs is waited for as long as --timeout says; one line, and all have ended")
  func watchdog() throws {
    try Scratch.with { scratch in
      let task = try RankedTask(scratch)
      let hang = """
        while [ ! -s task.diff.state ]; do sleep 0.01; done
        kill -STOP $(cat rank.1)
        """
      let run = try RankedRun(
        3, in: scratch, task.arguments("task", ["--save-every", "1e-9", "--timeout", "2"]),
        meanwhile: hang)
      #expect(run.code == 2 && run.seconds < 15, "\(run.seconds) s")
      try #require(run.lines.count == 1, "\(run.errors)")
      #expect(run.lines[0].contains("rank 0 on ") && run.lines[0].contains("waited for 2 s"))
      #expect(scratch.exists("task.diff.state") && !scratch.exists("task.diff"))
    }
  }

  @Test("SIGTERM to a rank saves; as many ranks go on to the same bytes, others within rounding")
  func stops() throws {
    try Scratch.with { scratch in
      let task = try RankedTask(scratch)
      let whole = try task.train("task", ranks: 2)
      func stop(_ signal: String, _ target: String) throws {
        let run = try RankedRun(
          2, in: scratch, task.arguments("task", ["--force", "--anew"]),
          meanwhile: """
            while [ ! -s rank.1 ] || [ ! -s task.jsonl ]; do sleep 0.01; done
            kill -\(signal) \(target)
            """)
        #expect(run.code == 2, "\(run.errors)")
        #expect(run.lines.count == 1 && run.lines[0].contains("--resume"), "\(run.errors)")
        #expect(scratch.exists("task.diff.state"))
      }
      try stop("TERM", "$(cat rank.1)")
      let resumed = try task.train("task", ranks: 2, ["--force", "--resume"])
      #expect(resumed.bytes == whole.bytes && resumed.losses == whole.losses)
      // Which mpirun passes on to all.
      try stop("USR1", "$(pgrep -P $MPIRUN)")
      let alone = try Diffkit.run(
        task.arguments("task", ["--force", "--resume"]).filter { $0 != "-q" })
      #expect(alone.code == 0 && alone.errors.contains("was saved by 2 processes, not 1"))
      #expect(try RankedTask.Trained(scratch, "task").distance(whole) < 1e-3)
    }
  }

  @Test("ranks with other bases, rows or settings are refused by name before the first step")
  func refusesOthers() throws {
    try Scratch.with { scratch in
      let task = try RankedTask(scratch)
      var bytes = try contents(ofFile: task.model.path)
      bytes[bytes.count - 2] ^= 1
      try FileManager.default.createDirectory(
        atPath: scratch("other"), withIntermediateDirectories: true)
      for name in ["config.json", "vocab.txt", "train.tsv"] {
        try FileManager.default.copyItem(atPath: scratch(name), toPath: scratch("other/" + name))
      }
      try write(bytes, toFile: scratch("other/base.safetensors"))
      try String(contentsOfFile: scratch("train.tsv"), encoding: .utf8)
        .replacingOccurrences(of: "big", with: "old")
        .write(toFile: scratch("other/train.tsv"), atomically: true, encoding: .utf8)
      let base = "shift 2; set -- train '\(scratch("other/base.safetensors"))' \"$@\""
      // The last of an option counts.
      func more(_ words: String) -> String { "set -- \"$@\" \(words)" }
      for (change, name) in [
        (base, "another base"), (more("--task '\(scratch("other/train.tsv"))'"), "other rows"),
        (more("--seed 7"), "other settings"),
        (more("--task '\(scratch("nothing.tsv"))'"), "nothing.tsv"),
      ] {
        let run = try RankedRun(
          2, in: scratch, task.arguments("task"),
          script: "if [ $RANK = 1 ]; then \(change); fi")
        #expect(run.code == 2, "\(change): \(run.errors)")
        #expect(run.lines.count == 1, "\(change): \(run.errors)")
        #expect(run.lines.first?.contains("rank 1") == true, "\(change): \(run.errors)")
        #expect(run.lines.first?.contains(name) == true, "\(change): \(run.errors)")
        #expect(!scratch.exists("task.diff") && !scratch.exists("task.diff.state"))
        try? FileManager.default.removeItem(atPath: scratch("task.jsonl"))
      }
    }
  }

  @Test("several tasks are trained by ranks one after the other")
  func severalTasks() throws {
    try Scratch.with { scratch in
      let task = try RankedTask(scratch)
      try """
      [{"task": "\(scratch("train.tsv"))", "output": "\(scratch("one.diff"))"},
       {"task": "\(scratch("numbers.tsv"))", "output": "\(scratch("two.diff"))"}]
      """.write(toFile: scratch("tasks.json"), atomically: true, encoding: .utf8)
      let arguments = [
        "train", task.model.path, "--tasks", scratch("tasks.json"), "--epochs", "1",
        "--fixed-epochs", "1", "--threads", "1", "--json",
      ]
      let run = try RankedRun(2, in: scratch, arguments)
      #expect(run.code == 0, "\(run.errors)")
      #expect(scratch.exists("one.diff") && scratch.exists("two.diff"))
      // The first rank alone speaks.
      #expect(run.output.split(separator: "\n").count { $0.contains("\"output\"") } == 2)
    }
  }
}
#endif
