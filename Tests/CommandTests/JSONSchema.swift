import StrictJSON
import TestSupport

/// The subset of JSON Schema that spec/output.schema.json uses.
struct JSONSchema {
  private let root: JSONValue

  init(_ path: String) throws { root = try JSONValue(parsing: contents(ofFile: path)) }

  /// The names of all definitions.
  var definitions: [String] { (root["$defs"]?.members ?? []).map(\.name) }

  /// Returns the violations of a definition by a value; empty if there are none.
  func faults(_ value: JSONValue, _ definition: String) -> [String] {
    guard let schema = root["$defs"]?[definition] else { return ["no definition \(definition)"] }
    return faults(value, schema, at: definition)
  }

  private func faults(_ value: JSONValue, _ schema: JSONValue, at location: String) -> [String] {
    for member in schema.members ?? [] where !Self.keywords.contains(member.name) {
      return ["\(location): the schema uses \(member.name)"]
    }
    var faults: [String] = []
    if let reference = schema["$ref"]?.text {
      let name = String(reference.dropFirst("#/$defs/".count))
      guard let target = root["$defs"]?[name] else { return ["\(location): no \(reference)"] }
      faults += self.faults(value, target, at: location)
    }
    if let type = schema["type"] {
      let names = type.text.map { [$0] } ?? (type.elements ?? []).compactMap(\.text)
      if !names.contains(where: { Self.isOf($0, value) }) {
        faults.append("\(location): \(value.compact.prefix(60)) is no \(names)")
      }
    }
    if let choices = schema["enum"]?.elements, !choices.contains(value) {
      faults.append("\(location): \(value.compact) is none of the choices")
    }
    for (index, element) in (value.elements ?? []).enumerated() {
      if let items = schema["items"] {
        faults += self.faults(element, items, at: "\(location)[\(index)]")
      }
    }
    for name in (schema["required"]?.elements ?? []).compactMap(\.text) where value[name] == nil {
      faults.append("\(location): no \(name)")
    }
    for member in value.members ?? [] {
      let here = "\(location).\(member.name)"
      if let property = schema["properties"]?[member.name] {
        faults += self.faults(member.value, property, at: here)
      } else if let others = schema["additionalProperties"] {
        faults +=
          others == .bool(false)
          ? ["\(here): not in the schema"] : self.faults(member.value, others, at: here)
      }
    }
    return faults
  }

  private static let keywords: Set = [
    "$ref", "additionalProperties", "description", "enum", "items", "properties", "required",
    "type",
  ]

  private static func isOf(_ type: String, _ value: JSONValue) -> Bool {
    switch (type, value) {
    case ("object", .object), ("array", .array), ("string", .string), ("number", .number),
      ("boolean", .bool), ("null", .null):
      true
    case ("integer", .number(let digits)): digits.allSatisfy { $0.isNumber || $0 == "-" }
    default: false
    }
  }
}
