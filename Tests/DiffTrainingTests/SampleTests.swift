import SystemSupport
import Testing
import TestSupport

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

@Suite struct SampleTests {
  @Test("the sample of a custom model learns to read digits, and its diff is stored")
  func digits() throws {
    // Beside the test bundle, where SwiftPM builds both.
    let bundle = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    let program = OutputFile.split(bundle).folder + "/DigitsMLP"
    let sample = try ChildProcess.run(
      "timeout", ["60", program, Repository.path + "/samples/DigitsMLP/digits.csv"])
    let output = String(decoding: sample.output, as: UTF8.self)
    #expect(sample.ending == .exit(0), "\(output)")
    // The accuracy on grey paper, before and with the diff as stored.
    let line = try #require(output.split(separator: "\n").last { $0.hasPrefix("on grey paper") })
    let numbers = line.split(separator: " ").compactMap { Double($0) }
    #expect(try #require(numbers.last) > #require(numbers.first) + 10, "\(line)")
  }
}
