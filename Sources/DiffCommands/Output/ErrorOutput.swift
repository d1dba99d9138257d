import TensorCore

/// An error, for people and for programs.
struct ErrorOutput: CommandOutput {
  struct Fields: Encodable {
    let code, message: String
    var path, tensor: String?
    var offset: UInt64?
    var errno: Int32?
    var remedy, cause: String?
  }

  let text: String
  let error: Fields

  private enum CodingKeys: CodingKey { case error }

  /// - Parameter showsCode: True if the text includes the error code.
  init(_ error: DiffError, showsCode: Bool = false) {
    let code = showsCode ? " [\(error.code)]" : ""
    text = "diffkit: " + error.line(\.commandLine) + code + "\n"
    self.error = Fields(
      code: error.code.description, message: error.advice(\.commandLine), path: error.path,
      tensor: error.tensor?.description, offset: error.offset, errno: error.errno,
      remedy: error.remedy?.name,
      cause: error.cause.map { "\($0)" })
  }

  /// Creates the output for wrong arguments from the message alone and the text with the usage.
  init(usage message: String, text: String) {
    self.text = text + "\n"
    error = Fields(code: DiffError.Code.usage.description, message: message)
  }
}
