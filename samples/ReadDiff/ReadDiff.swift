// Reads a diff by ranges, as a program does that fetches them over a network:
//
//   swift run -c release ReadDiff task.diff [TENSOR]
import DiffFormat

/// Serves ranges of another source and counts what was asked for; an HTTP client would send
/// `Range: bytes=…` instead.
final class RangeSource: ByteSource, @unchecked Sendable {
  private let origin: any ByteSource
  private(set) var requests = 0
  private(set) var bytes: UInt64 = 0

  init(_ origin: any ByteSource) { self.origin = origin }

  var size: UInt64 { get throws(DiffError) { try origin.size } }

  func read(at offset: UInt64, into buffer: inout MutableSpan<UInt8>) throws(DiffError) {
    requests += 1
    bytes += UInt64(buffer.count)
    try origin.read(at: offset, into: &buffer)
  }
}

@main struct ReadDiff {
  static func main() throws {
    let arguments = CommandLine.arguments.dropFirst()
    guard let path = arguments.first else { return print("usage: ReadDiff FILE.diff [TENSOR]") }
    let source = RangeSource(try File(path))
    let diff = try DiffReader(source)
    print("\(diff.count) tensors; opened by \(source.requests) requests, \(source.bytes) bytes")

    let names =
      arguments.dropFirst().isEmpty
      ? diff.map(\.name) : arguments.dropFirst().map { TensorName($0) }
    for name in names {
      guard let entry = diff.entry(named: name) else {
        print("\(name): not in this diff")
        continue
      }
      var pages = diff.pages(of: entry)
      var sum: UInt64 = 0
      while let changes = try pages.next() {
        for i in 0..<changes.count { sum &+= changes.position(i) }
      }
      print(
        "\(name): \(entry.operation.name), \(entry.count) changes, mean position",
        entry.count == 0 ? 0 : sum / entry.count)
    }
    print("in all \(source.requests) requests, \(source.bytes) of \(try source.size) bytes")
  }
}
