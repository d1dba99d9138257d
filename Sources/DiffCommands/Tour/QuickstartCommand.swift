import ArgumentParser
import DiffTraining
import Platform
import SystemSupport
import TensorCore

/// `diffkit quickstart`.
struct QuickstartCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "quickstart",
    abstract: "Train a diff on the samples, apply it and evaluate it.",
    discussion: """
      The repository's folder 'samples' has a small language model (MiniLM, 3 layers, HDF5) and a \
      task (is a text message spam?). With --files, nothing is trained; create, apply, revert and \
      verify are run on an existing finetune instead.

        diffkit quickstart
        diffkit quickstart --files tour
      """)

  @Argument(help: "A new folder for the output files.")
  var folder = "quickstart"

  @Option(help: "The folder of the samples; by default ./samples, or one above the program.")
  var samples: String?

  @Flag(help: "Use an existing finetune instead of training one.")
  var files = false

  @OptionGroup var report: ReportOptions

  func run() throws {
    if !files { try Engine.requireAvailable() }
    // Missing samples are reported before anything is written.
    let tour = try findTour()
    guard unsafe mkdir(folder, 0o777) == 0 else { throw DiffError.system("cannot create", folder) }
    try tour.run(into: folder)
  }

  /// Returns the tour for the first folder that contains its samples.
  private func findTour() throws -> any Tour {
    var candidates = [samples ?? "samples"]
    if samples == nil {
      for var folder in ProgramFiles.folders {
        while folder != "/" && folder != "." {
          folder = OutputFile.split(folder).folder
          candidates.append(folder + "/samples")
        }
      }
    }
    for candidate in candidates {
      let tour: any Tour = files ? FileTour(candidate, report) : TrainingTour(candidate, report)
      if tour.samples.allSatisfy(File.exists) { return tour }
    }
    throw DiffError(
      .notFound,
      "does not contain the samples, which are in the folder 'samples' of diffkit's repository; "
        + "give --samples FOLDER", path: candidates[0])
  }
}

/// A demonstration on the samples.
protocol Tour {
  /// The files that it needs.
  var samples: [String] { get }
  var report: ReportOptions { get }
  /// Writes files to a folder and reports them.
  func run(into folder: String) throws
}

extension Tour {
  /// True if text is shown to people.
  var isShown: Bool { !report.json.json && !report.quiet.quiet }

  /// Prints a line, if text is shown to people.
  func say(_ line: String) throws { if isShown { try report.quiet.say(line) } }
}
