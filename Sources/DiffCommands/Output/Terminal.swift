import Platform
import SystemSupport

/// The properties of the terminal on standard output.
enum Terminal {
  static let isTerminal = isatty(STDOUT_FILENO) == 1

  /// The maximum width of tables: `COLUMNS`, or the columns of the terminal; nil if lines may be of
  /// any length, as in a file.
  static let width: Int? = {
    if let columns = ProgramFiles.environmentVariable("COLUMNS").flatMap({ Int($0) }), columns > 0 {
      return columns
    }
    var size = winsize()
    guard isTerminal, unsafe ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0
    else { return nil }
    return Int(size.ws_col)
  }()

  /// True if escape sequences are supported and not disabled (https://no-color.org).
  static let hasColors =
    isTerminal && (ProgramFiles.environmentVariable("NO_COLOR") ?? "").isEmpty
    && !["", "dumb"].contains(ProgramFiles.environmentVariable("TERM") ?? "")
}

/// A text style, for terminals that support it.
enum Style: Int {
  case bold = 1
  case red = 31
  case green = 32
  case yellow = 33
  case cyan = 36
}

extension String {
  func styled(_ style: Style) -> String {
    Terminal.hasColors ? "\u{1B}[\(style.rawValue)m\(self)\u{1B}[0m" : self
  }
}
