import ArgumentParser
import DiffTraining
import Platform
import SystemSupport
import TensorCore

/// `diffkit quickstart`.
struct QuickstartCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "quickstart",
    abstract: "Train a diff on the samples, apply it, and see what it is worth.",
    discussion: """
      The repository's folder 'samples' has a small language model (MiniLM, 3 layers, HDF5) and a \
      task (is a text message spam?). With --files nothing is trained: a finetune that ships goes \
      round instead: create, apply, revert, verify.

        diffkit quickstart
        diffkit quickstart --files tour
      """)

  @Argument(help: "A new folder for the files it makes.")
  var folder = "quickstart"

  @Option(help: "Where the samples are; by default here, or where diffkit was built.")
  var samples: String?

  @Flag(help: "Show what is done with finetunes that exist, without training one.")
  var files = false

  @OptionGroup var report: ReportOptions

  func run() throws {
    if !files { try Engine.requireAvailable() }
    // What is missing is told before anything is made.
    let tour = try findTour()
    guard unsafe mkdir(folder, 0o777) == 0 else { throw DiffError.system("cannot create", folder) }
    try tour.run(into: folder)
  }

  /// The tour in the first folder that has its samples.
  private func findTour() throws -> any Tour {
    var places = [samples ?? "samples"]
    if samples == nil {
      for var folder in ProgramFiles.folders {
        while folder != "/" && folder != "." {
          folder = OutputFile.split(folder).folder
          places.append(folder + "/samples")
        }
      }
    }
    for place in places {
      let tour: any Tour = files ? FileTour(place, report) : TrainingTour(place, report)
      if tour.samples.allSatisfy(File.exists) { return tour }
    }
    throw DiffError(
      .notFound,
      "has not the samples, which are in the folder 'samples' of diffkit's repository; "
        + "give --samples FOLDER", path: places[0])
  }
}

/// Something to see on the samples.
protocol Tour {
  /// The files that it needs.
  var samples: [String] { get }
  var report: ReportOptions { get }
  /// Makes files in a folder and tells of them.
  func run(into folder: String) throws
}

extension Tour {
  /// Whether people look on.
  var isShown: Bool { !report.json.json && !report.quiet.quiet }

  /// Tells of a step, to people.
  func say(_ line: String) throws { if isShown { try report.quiet.say(line) } }
}
