import Platform
import SystemSupport
import TensorCore
import Testing
import TestSupport

@Suite struct OutputFileTests {
  @Test("nothing appears before commit, then all of it, and no other file")
  func commit() throws {
    try Scratch.with { scratch in
      let output = try OutputFile(scratch("a"), overwriting: false)
      try output.file.write([1, 2, 3].span, at: 0)
      #expect(!scratch.exists("a"))
      try output.commit()
      #expect(try contents(ofFile: scratch("a")) == [1, 2, 3])
      #expect(try scratch.names == ["a"])
    }
  }

  @Test("an output that is dropped leaves nothing", arguments: [false, true])
  func dropped(overwriting: Bool) throws {
    try Scratch.with { scratch in
      do {
        let output = try OutputFile(scratch("a"), overwriting: overwriting)
        try output.file.write([1, 2, 3].span, at: 0)
      }
      #expect(try scratch.names == [])
    }
  }

  @Test("an existing file is not overwritten by default")
  func existing() throws {
    try Scratch.with { scratch in
      try write([7], toFile: scratch("a"))
      let error = #expect(throws: DiffError.self) {
        try OutputFile(scratch("a"), overwriting: false)
      }
      #expect(error?.code == .exists)
      #expect(error?.path == scratch("a"))
      #expect(try contents(ofFile: scratch("a")) == [7])
    }
  }

  @Test("a file that appears meanwhile is not overwritten")
  func race() throws {
    try Scratch.with { scratch in
      let output = try OutputFile(scratch("a"), overwriting: false)
      try write([7], toFile: scratch("a"))
      let error = #expect(throws: DiffError.self) { try output.commit() }
      #expect(error?.code == .exists)
      #expect(try contents(ofFile: scratch("a")) == [7])
      #expect(try scratch.names == ["a"])
    }
  }

  @Test("when overwriting, the old file stays until commit and is then replaced")
  func overwriting() throws {
    try Scratch.with { scratch in
      try write([7, 7], toFile: scratch("a"))
      do {
        let output = try OutputFile(scratch("a"), overwriting: true)
        try output.file.write([1].span, at: 0)
      }
      #expect(try contents(ofFile: scratch("a")) == [7, 7])
      let output = try OutputFile(scratch("a"), overwriting: true)
      try output.file.write([1].span, at: 0)
      #expect(try contents(ofFile: scratch("a")) == [7, 7])
      try output.commit()
      #expect(try contents(ofFile: scratch("a")) == [1])
      #expect(try scratch.names == ["a"])
    }
  }

  @Test("only regular files are replaced")
  func irregular() throws {
    try Scratch.with { scratch in
      #expect(unsafe mkfifo(scratch("fifo"), 0o600) == 0)
      #expect(unsafe symlink("target", scratch("link")) == 0)
      for name in ["fifo", "link", "."] {
        let error = #expect(throws: DiffError.self) {
          try OutputFile(scratch(name), overwriting: true)
        }
        #expect(error?.code == .io)
      }
      let names = try scratch.names
      #expect(names == ["fifo", "link"])
    }
  }

  @Test("a folder that does not exist is an error that names the output")
  func noFolder() throws {
    try Scratch.with { scratch in
      let error = #expect(throws: DiffError.self) {
        try OutputFile(scratch("no/a"), overwriting: false)
      }
      #expect(error?.code == .notFound)
      #expect(error?.path == scratch("no/a"))
      #expect(error?.errno == ENOENT)
    }
  }

  @Test("the contents can be opened before they have a name")
  func openable() throws {
    try Scratch.with { scratch in
      let output = try OutputFile(scratch("a"), overwriting: false, permissions: 0o640)
      try output.file.write([5].span, at: 0)
      #expect(try contents(ofFile: output.file.openablePath()) == [5])
      try output.commit()
      #expect(try File(scratch("a")).status().st_mode & 0o777 == 0o640)
    }
  }

  @Test("paths are split at the last slash")
  func split() {
    #expect(OutputFile.split("a") == (".", "a"))
    #expect(OutputFile.split("/a") == ("/", "a"))
    #expect(OutputFile.split("b/c/a") == ("b/c", "a"))
  }

  @Test("hidden files that no process writes are removed by who replaces the file")
  func leftFiles() throws {
    try Scratch.with { scratch in
      let (left, held) = (scratch(".a.1.diffkit-tmp"), scratch(".a.2.diffkit-tmp"))
      for path in [left, held, scratch(".b.1.diffkit-tmp"), scratch("a")] {
        try write([1], toFile: path)
      }
      let writer = try File(held)
      try writer.lock(.exclusive)
      let output = try OutputFile(scratch("a"), overwriting: true)
      try output.file.write([2].span, at: 0)
      try output.commit()
      // Whoever opens it then finds no lock.
      try File(scratch("a")).lock(.shared)
      #expect(try contents(ofFile: scratch("a")) == [2])
      #expect(try scratch.names == [".a.2.diffkit-tmp", ".b.1.diffkit-tmp", "a"])
    }
  }

  @Test("the hidden folder of an object at work stays, that of none is removed")
  func leftovers() throws {
    try Scratch.with { scratch in
      let output = try OutputFolder(scratch("out"))
      try output.write([1], as: "a")
      let left = scratch(".out.7.diffkit-tmp")
      try makeFolder(left)
      try write([3], toFile: left + "/b")
      let other = try OutputFolder(scratch("out"))
      #expect(!File.exists(left))
      try output.commit()
      #expect(try contents(ofFile: scratch("out/a")) == [1])
      #expect(throws: DiffError.self) { try other.commit() }
    }
  }

  @Test("a folder does not replace one that appears meanwhile")
  func folderRace() throws {
    try Scratch.with { scratch in
      let output = try OutputFolder(scratch("out"))
      try output.write([1], as: "a")
      let other = try OutputFolder(scratch("out"))
      try other.write([2], as: "b")
      try other.commit()
      let error = #expect(throws: DiffError.self) { try output.commit() }
      #expect(error?.code == .exists)
      #expect(try contents(ofFile: scratch("out/b")) == [2])
    }
  }
}
