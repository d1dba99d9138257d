import DiffFormat
import TensorCore
import Testing
import TestSupport

/// The committed vectors in `samples`. With `DIFFKIT_RECORD=1` they are written instead.
@Suite struct VectorTests {
  @Test("vectors are recorded", .enabled(if: VectorFolder.isRecording))
  func record() throws {
    try VectorFolder.removeAll("valid")
    for vector in try ValidVector.all() {
      let description = try ValidDescription(DiffReader(bytes: vector.bytes))
      try VectorFolder.write(vector.bytes, description, "valid", vector.name)
    }
    try VectorFolder.removeAll("invalid")
    for vector in try InvalidVector.all() {
      try VectorFolder.write(vector.bytes, vector.description, "invalid", vector.name)
    }
  }

  @Test(
    "a valid vector decodes to what stands beside it", .disabled(if: VectorFolder.isRecording),
    arguments: VectorFolder.names("valid"))
  func valid(name: String) throws {
    let reader = try DiffReader(VectorFolder.path("valid", name + ".diff"))
    let expected = try VectorFolder.description(ValidDescription.self, "valid", name)
    // As text, since strings of different bytes may be equal.
    #expect(
      try VectorFolder.json(ValidDescription(reader)) == VectorFolder.json(expected))
  }

  @Test(
    "an invalid vector is refused with its code and offset",
    .disabled(if: VectorFolder.isRecording), arguments: VectorFolder.names("invalid"))
  func invalid(name: String) throws {
    let bytes = try VectorFolder.read("invalid", name + ".diff")
    let expected = try VectorFolder.description(InvalidDescription.self, "invalid", name)
    var when = "open"
    let error = #expect(throws: DiffError.self) {
      let reader = try DiffReader(bytes: bytes)
      when = "decode"
      try reader.verify()
    }
    #expect(error?.code.description == expected.code, "\(String(describing: error))")
    #expect(error?.offset == expected.offset, "\(String(describing: error))")
    #expect(when == expected.when)
  }

  @Test("the generator makes the committed vectors", .disabled(if: VectorFolder.isRecording))
  func generated() throws {
    let valid = try ValidVector.all()
    #expect(valid.map(\.name).sorted() == VectorFolder.names("valid"))
    for vector in valid where !(try hasDeflatedPlanes(vector.bytes)) {
      #expect(
        try VectorFolder.read("valid", vector.name + ".diff") == vector.bytes, "\(vector.name)")
    }
    let invalid = try InvalidVector.all()
    #expect(invalid.map(\.name).sorted() == VectorFolder.names("invalid"))
    for vector in invalid {
      let bytes = try VectorFolder.read("invalid", vector.name + ".diff")
      let description = try VectorFolder.read("invalid", vector.name + ".json")
      #expect(bytes == vector.bytes, "\(vector.name)")
      #expect(try description == VectorFolder.json(vector.description), "\(vector.name)")
    }
  }

  @Test(
    "the contents of a vector are written as the same bytes",
    .disabled(if: VectorFolder.isRecording))
  func encodedAgain() throws {
    var compared = 0
    for vector in try ValidVector.all() {
      let bytes = try VectorFolder.read("valid", vector.name + ".diff")
      guard let profile = vector.profile, !(try hasDeflatedPlanes(bytes)) else { continue }
      let contents = try DiffReader(bytes: bytes).contents()
      for step in [Int.max, 1000, 1] {
        #expect(try contents.encoded(profile: profile, step: step) == bytes, "\(vector.name)")
      }
      compared += 1
    }
    #expect(compared > 30)
  }

  @Test("the vectors hold every encoding, operation and type")
  func coverage() throws {
    var encodings: Set<String> = []
    var operations: Set<String> = []
    var types: Set<ElementType> = []
    var planes: Set<PlaneCoding> = []
    for vector in try ValidVector.all() {
      let reader = try DiffReader(bytes: vector.bytes)
      for entry in reader {
        operations.insert(entry.operation.name)
        types.insert(entry.type)
        for stream in entry.operation.streams {
          encodings.formUnion(try reader.encodings(of: entry, stream))
        }
      }
      planes.formUnion(try planeCodings(vector.bytes))
    }
    #expect(
      encodings == [
        "dense", "bitmap", "splitRice", "bp128", "splitRice by columns", "bp128 by columns",
        "splitRice by panels", "bp128 by panels",
      ])
    #expect(operations == ["add", "replace", "xor", "insert", "delete", "reshape"])
    #expect(types == Set(ElementType.allCases))
    #expect(planes == Set(PlaneCoding.allCases))
  }

  private func hasDeflatedPlanes(_ bytes: [UInt8]) throws -> Bool {
    try planeCodings(bytes).contains(.deflate)
  }
}
