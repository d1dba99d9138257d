import Checkpoints
import HDF5Access
import SystemSupport
import TensorCore
import Testing
import TestSupport

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The helper process: finding it, and handling of failures.
@Suite struct HDF5HelperTests {
  /// A program that replaces the helper; its channel is its standard input, in both directions.
  private func fake(_ script: String, _ body: (HDF5Host) throws -> Void) throws {
    try Scratch.with { scratch in
      try write(Array("#!/bin/sh\n\(script)\n".utf8), toFile: scratch("helper"))
      try FileManager.default.setAttributes(
        [.posixPermissions: 0o755], ofItemAtPath: scratch("helper"))
      try body(.helper(at: scratch("helper")))
    }
  }

  private func error(_ host: HDF5Host) -> DiffError? {
    #expect(throws: DiffError.self) { try HDF5Checkpoint(TestFiles.base, hdf5: host) }
  }

  @Test("addresses in the library's messages are masked, the rest of them stays")
  func addresses() {
    #expect(
      HDF5Library.explained("unable to free 0x7ffe12a0 (at 0x10) of chunk 3")
        == "unable to free … (at … of chunk 3")
    #expect(HDF5Library.explained("wrong B-tree signature") == "wrong B-tree signature")
    #expect(
      HDF5Library.explained("bad version number 0x9").hasPrefix(
        "bad version number …: written by a newer HDF5 than 1."))
  }

  @Test("a missing helper is reported by path")
  func missing() {
    let error = error(.helper(at: "/nowhere/diffkit-hdf5"))
    #expect(error?.code == .notFound)
    #expect(error?.description.contains("/nowhere/diffkit-hdf5") == true)
  }

  @Test("a crash is reported as one")
  func crash() throws {
    try fake("kill -SEGV $$") {
      let error = error($0)
      #expect(error?.code == .unsupportedCheckpoint)
      #expect(error?.message.contains("crashed") == true)
      #expect(error?.path == TestFiles.base)
    }
  }

  @Test("a helper of another version is reported")
  func version() throws {
    try fake("exit 65") { #expect(error($0)?.message.contains("another version") == true) }
  }

  @Test(
    "an invalid reply is refused",
    arguments: [
      #"\005\0\0\0\0\0\0\0abcde"#, #"\0\0\0\0\0\0\0\0"#, #"\377\377\377\377\377\377\377\377"#,
      #"\377\377\377\377\377\377\377\177abc"#, #"\010\0\0\0\0\0\0\0\377\0\0\0\0\0\0\0"#,
    ])
  func garbage(answer: String) throws {
    try fake("printf '\(answer)' >&0; cat >/dev/null") {
      #expect(error($0)?.code == .malformed)
    }
  }

  @Test("run directly, the helper describes itself")
  func byHand() throws {
    let path = ProgramFiles.folders[0] + "/diffkit-hdf5"
    let child = try ChildProcess.run(path, [])
    #expect(child.ending == .exit(2))
    #expect(String(decoding: child.errors, as: UTF8.self).contains("a helper that diffkit starts"))
  }

  @Test("both hosts write the same bytes")
  func inProcess() throws {
    try Scratch.with { scratch in
      for (name, host) in [("a", HDF5Host.helper), ("b", .inProcess)] {
        let source = try HDF5Checkpoint(TestFiles.chunks, hdf5: host)
        let output = try source.makeOutput(at: scratch(name), rewriting: [], overwriting: false)
        for tensor in source.tensors where tensor.shape.count < 10_000 {
          try output.write([UInt8](repeating: 1, count: 8).span, to: tensor, at: 0)
        }
        _ = try output.insert("new/tensor", .f32, Shape(vector: 4))
        try output.commit()
      }
      #expect(try contents(ofFile: scratch("a")) == contents(ofFile: scratch("b")))
    }
  }
}
