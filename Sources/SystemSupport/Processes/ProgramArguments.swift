import CLinux
import Platform

/// The words of this process's command line. Swift's `CommandLine` reads them from /proc, and is
/// empty without /proc.
package enum ProgramArguments {
  /// The program's name and the words after it; words that are not UTF-8 are repaired.
  package static let words = raw.map(\.text)

  /// The first word that was repaired, if any.
  package static var firstRepaired: String? { raw.first { !$0.isValid }?.text }

  private static let raw: [(text: String, isValid: Bool)] = {
    #if canImport(Glibc)
    let words = unsafe (0..<dk_argument_count()).map { unsafe dk_argument($0) }
    #else
    let words = unsafe (0..<Int(CommandLine.argc)).map { unsafe CommandLine.unsafeArgv[$0] }
    #endif
    return unsafe words.compactMap { word in
      guard let word = unsafe word else { return nil }
      return unsafe (String(cString: word), String(validatingCString: word) != nil)
    }
  }()
}
