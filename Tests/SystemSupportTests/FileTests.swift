import Platform
import SystemSupport
import TensorCore
import Testing
import TestSupport

@Suite struct FileTests {
  @Test("folders, pipes, devices and missing files are refused at once")
  func refusals() throws {
    try Scratch.with { scratch in
      #expect(unsafe mkfifo(scratch("fifo"), 0o600) == 0)
      for path in [scratch("fifo"), scratch.path, "/dev/null", scratch("missing")] {
        let error = #expect(throws: DiffError.self) { try File(path) }
        #expect(error?.code == (path.hasSuffix("missing") ? .notFound : .io))
        #expect(error?.path == path)
      }
    }
  }

  @Test("reading past the end is an error with the offset of the end")
  func truncated() throws {
    try Scratch.with { scratch in
      try write([1, 2, 3], toFile: scratch("a"))
      let file = try File(scratch("a"))
      let error = #expect(throws: DiffError.self) {
        var bytes = [UInt8](repeating: 0, count: 5)
        var span = bytes.mutableSpan
        try file.read(at: 1, into: &span)
      }
      #expect(error?.code == .truncated)
      #expect(error?.offset == 3)
    }
  }

  @Test("a file is created only where there is none")
  func creation() throws {
    try Scratch.with { scratch in
      try write([1], toFile: scratch("a"))
      #expect(throws: DiffError.self) { try File(creating: scratch("a")) }
      #expect(try contents(ofFile: scratch("a")) == [1])
    }
  }
}
