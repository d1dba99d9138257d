import StrictJSON
import SystemSupport
import Testing
import TestSupport

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The built executable, run as a process.
enum Diffkit {
  static let path = besides("diffkit")

  /// A program that SwiftPM builds where it builds the test bundle.
  static func besides(_ name: String) -> String {
    let bundle = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"))
    return OutputFile.split(bundle ?? CommandLine.arguments[0]).folder + "/" + name
  }

  /// Runs it; a run that hangs ends with exit code 124.
  static func run(_ arguments: String..., outputPath: String? = nil) throws -> Answer {
    try run(arguments, outputPath: outputPath)
  }

  /// Runs it with an array of arguments.
  static func run(_ arguments: [String], outputPath: String? = nil) throws -> Answer {
    Answer(
      try ChildProcess.run(
        "timeout", ["60", path] + arguments, outputPath: outputPath))
  }

  /// Runs it with half a gigabyte of address space, part of which its programs take. A run that
  /// needs more does not end with an exit code.
  static func runInLittleMemory(_ arguments: String...) throws -> Answer {
    try runInLittleMemory(arguments)
  }

  /// The same.
  static func runInLittleMemory(_ arguments: [String]) throws -> Answer {
    Answer(
      try ChildProcess.run(
        "sh", ["-c", "ulimit -v 524288; exec timeout 60 \"$0\" \"$@\"", path] + arguments))
  }

  /// Runs it with a folder as its working directory.
  static func run(in folder: String, _ arguments: String...) throws -> Answer {
    Answer(
      try ChildProcess.run(
        "sh", ["-c", "cd \"$1\"; shift; exec \"$@\"", "sh", folder, path] + arguments))
  }
}

/// The result of a run of the executable.
struct Answer {
  let code: Int32
  let output, errors: String

  init(_ child: ChildProcess) {
    if case .exit(let code) = child.ending { self.code = code } else { code = -1 }
    output = String(decoding: child.output, as: UTF8.self)
    errors = String(decoding: child.errors, as: UTF8.self)
  }

  /// Returns the decoded output.
  func json<Value: Decodable>(_ type: Value.Type) throws -> Value {
    try JSONDecoder().decode(type, from: Data(output.utf8))
  }

  /// Returns the numbers of a JSON object by name.
  var scores: [String: Double] {
    get throws {
      let members = try JSONValue(parsing: Array(output.utf8)).members ?? []
      return Dictionary(
        uniqueKeysWithValues: members.compactMap { member in
          member.value.double.map { (member.name, $0) }
        })
    }
  }
}

/// Expects success, with a text on standard output and nothing on standard error.
func expectSuccess(
  _ answer: Answer, _ parts: String..., at location: SourceLocation = #_sourceLocation
) {
  #expect(answer.code == 0, sourceLocation: location)
  #expect(answer.errors == "", sourceLocation: location)
  for part in parts { #expect(answer.output.contains(part), sourceLocation: location) }
}

/// Expects exit code 2, nothing on standard output and one line on standard error.
func expectTrouble(
  _ answer: Answer, _ parts: String..., at location: SourceLocation = #_sourceLocation
) {
  #expect(answer.code == 2, sourceLocation: location)
  #expect(answer.output == "", sourceLocation: location)
  #expect(answer.errors.hasPrefix("diffkit: "), sourceLocation: location)
  #expect(answer.errors.unicodeScalars.count { $0 == "\n" } == 1, sourceLocation: location)
  #expect(answer.errors.hasSuffix("\n"), sourceLocation: location)
  for part in parts { #expect(answer.errors.contains(part), sourceLocation: location) }
}
