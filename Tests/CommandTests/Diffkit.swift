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

  /// Runs it; one that hangs ends with exit code 124 instead.
  static func run(_ arguments: String..., outputPath: String? = nil) throws -> Answer {
    try run(arguments, outputPath: outputPath)
  }

  /// The same.
  static func run(_ arguments: [String], outputPath: String? = nil) throws -> Answer {
    Answer(
      try ChildProcess.run(
        "timeout", ["60", path] + arguments, outputPath: outputPath))
  }

  /// Runs it with half a gigabyte of address space, of which it takes some for its programs; what
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

/// What a run of the executable gave.
struct Answer {
  let code: Int32
  let output, errors: String

  init(_ child: ChildProcess) {
    if case .exit(let code) = child.ending { self.code = code } else { code = -1 }
    output = String(decoding: child.output, as: UTF8.self)
    errors = String(decoding: child.errors, as: UTF8.self)
  }

  /// The output, decoded.
  func json<Value: Decodable>(_ type: Value.Type) throws -> Value {
    try JSONDecoder().decode(type, from: Data(output.utf8))
  }

  /// The numbers of an object of JSON by their names.
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
  _ answer: Answer, _ parts: String..., at place: SourceLocation = #_sourceLocation
) {
  #expect(answer.code == 0, sourceLocation: place)
  #expect(answer.errors == "", sourceLocation: place)
  for part in parts { #expect(answer.output.contains(part), sourceLocation: place) }
}

/// Expects exit code 2, nothing on standard output and one line on standard error.
func expectTrouble(
  _ answer: Answer, _ parts: String..., at place: SourceLocation = #_sourceLocation
) {
  #expect(answer.code == 2, sourceLocation: place)
  #expect(answer.output == "", sourceLocation: place)
  #expect(answer.errors.hasPrefix("diffkit: "), sourceLocation: place)
  #expect(answer.errors.unicodeScalars.count { $0 == "\n" } == 1, sourceLocation: place)
  #expect(answer.errors.hasSuffix("\n"), sourceLocation: place)
  for part in parts { #expect(answer.errors.contains(part), sourceLocation: place) }
}
