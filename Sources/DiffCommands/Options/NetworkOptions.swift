import ArgumentParser
import DiffFormat
import RemoteFiles
import TensorCore

/// Options of commands that read diffs and stores on servers.
struct NetworkOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "A folder that keeps what comes from http, https and s3 addresses, so that it comes once.",
      valueName: "folder"), completion: .directory)
  var cache: String?

  @Option(help: "The server of s3 addresses, if it is not Amazon's: http://… or https://….")
  var endpoint: String?

  @Option(help: "Seconds without progress after which a connection is given up.")
  var timeout = 30

  func validate() throws {
    guard timeout > 0 else { throw ValidationError("--timeout is at least 1") }
  }

  /// The same for the library.
  var remote: RemoteOptions {
    var options = RemoteOptions()
    options.cache = cache
    options.endpoint = endpoint
    options.timeout = timeout
    return options
  }
}

/// Opens a diff on a server.
///
/// - Parameter fetchingAll: whether all of it will be read: then it comes in one piece.
func openDiff(
  at address: RemoteAddress, _ options: RemoteOptions, fetchingAll: Bool
) throws(DiffError) -> DiffReader {
  let file = try RemoteFile(address, options)
  // What is no diff is not fetched as a whole.
  let reader = try DiffReader(file)
  if fetchingAll { try file.fetchAll() }
  return reader
}
