import Foundation
import Platform
import TensorCore
import Testing
import TestSupport

/// Folders of a model as bases and outputs.
@Suite struct FolderCommandTests {
  /// A folder with weights, and a diff that changes them.
  private func with(_ body: (Fixture) throws -> Void) throws {
    try Fixture.with { files in
      for name in ["model", "tuned"] { try makeFolder(files(name)) }
      let (one, two) = (littleEndian([1, 2] as [Float]), littleEndian([1, 3] as [Float]))
      try files.make("model/model.safetensors", [MemoryTensor("w", .f32, one)])
      try files.make("tuned/model.safetensors", [MemoryTensor("w", .f32, two)])
      try write(Array("{}".utf8), toFile: files("model/config.json"))
      expectSuccess(
        try Diffkit.run("create", files("model"), files("tuned"), "-o", files("w.diff")))
      try body(files)
    }
  }

  @Test("what a copy of a folder does not get is named, and compared")
  func special() throws {
    try with { files in
      try makeFolder(files("model/more"))
      unsafe symlink("nowhere", files("model/dangling"))
      unsafe symlink("..", files("model/more/up"))
      unsafe mkfifo(files("model/more/pipe"), 0o600)
      // A name that is not UTF-8.
      let broken = files("model/").utf8CString.dropLast() + [CChar(bitPattern: 0xFF), 0]
      let descriptor = unsafe creat(Array(broken), 0o600)
      try #require(descriptor >= 0)
      close(descriptor)
      expectSuccess(
        try Diffkit.run("apply", files("model"), files("w.diff"), "-o", files("out")),
        "note: not copied: dangling, a link that leads nowhere",
        "note: not copied: more/pipe, a pipe, socket or device",
        "note: not copied: more/up, a link to a folder", "names are not UTF-8 (1)")
      let copied = try Scratch(path: files("out")).names
      #expect(copied == ["config.json", "model.safetensors", "more"])
      let compared = try Diffkit.run("compare", files("model"), files("out"))
      #expect(compared.code == 1)
      for name in ["dangling", "more/pipe", "more/up"] {
        #expect(compared.output.contains("only in \(files("model")): \(name)"))
      }
      let inPlace = try Diffkit.run("apply", files("model"), files("w.diff"), "--in-place")
      expectSuccess(inPlace, "patched")
      #expect(!inPlace.output.contains("not copied"))
    }
  }

  @Test("the hidden folder of a process that was killed is removed by the next one")
  func leftovers() throws {
    try with { files in
      let left = files(".out.123456.diffkit-tmp")
      try makeFolder(left)
      try write([1], toFile: left + "/model.safetensors")
      for other in [".out.x.diffkit-tmp", ".other.123.diffkit-tmp"] {
        try makeFolder(files(other))
      }
      expectSuccess(
        try Diffkit.run("apply", files("model"), files("w.diff"), "-o", files("out")))
      let hidden = try files.folder.names.filter { $0.hasPrefix(".") }
      #expect(hidden == [".other.123.diffkit-tmp", ".out.x.diffkit-tmp"])
    }
  }

  @Test("a folder is not the name of a file, with --force neither")
  func output() throws {
    try with { files in
      for force in [[], ["--force"]] {
        expectTrouble(
          Answer(
            try .run(
              Diffkit.path,
              ["apply", files("base.h5"), files("exact.diff"), "-o", files("tuned")] + force)),
          files("tuned"), "is a folder, but the output is a file")
      }
    }
  }
}
