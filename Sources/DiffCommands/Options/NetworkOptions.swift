import ArgumentParser
import DiffFormat
import RemoteFiles
import TensorCore

/// Options of commands that read diffs and stores on servers.
struct NetworkOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "A folder that caches what is fetched from http, https and s3 addresses.",
      valueName: "folder"), completion: .directory)
  var cache: String?

  @Option(help: "The server for s3 addresses, if not Amazon's: http://… or https://….")
  var endpoint: String?

  @Option(help: "Seconds without progress after which a transfer fails.")
  var timeout = 30

  func validate() throws {
    guard timeout > 0 else { throw ValidationError("--timeout must be at least 1") }
  }

  /// The options for the library.
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
/// - Parameter fetchingAll: True if the whole diff will be read: it is then fetched at once.
func openDiff(
  at address: RemoteAddress, _ options: RemoteOptions, fetchingAll: Bool
) throws(DiffError) -> DiffReader {
  let file = try RemoteFile(address, options)
  // Opened first, so that a file that is not a diff is not fetched as a whole.
  let reader = try DiffReader(file)
  if fetchingAll { try file.fetchAll() }
  return reader
}
