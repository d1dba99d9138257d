import ArgumentParser

/// The option of every command that writes a diff.
struct MetadataOption: ParsableArguments {
  @Option(name: .customLong("meta"), help: "Metadata to store, KEY=VALUE; may be repeated.")
  var list: [String] = []

  func validate() throws {
    guard list.allSatisfy({ $0.contains("=") && $0.first != "=" }) else {
      throw ValidationError("--meta takes KEY=VALUE")
    }
    guard !list.contains(where: { $0.hasPrefix("diffkit.") }) else {
      throw ValidationError("keys that begin with 'diffkit.' are reserved for diffkit itself")
    }
    guard values.count == list.count else {
      throw ValidationError("--meta is given twice for one key")
    }
  }

  /// Values by key.
  var values: [String: String] {
    var values: [String: String] = [:]
    for text in list {
      guard let equals = text.firstIndex(of: "=") else { continue }
      values[String(text[..<equals])] = String(text[text.index(after: equals)...])
    }
    return values
  }
}
