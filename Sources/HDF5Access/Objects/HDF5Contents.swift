import CHDF5
import Checkpoints
import Platform
import TensorCore

/// Collects the contents of a file other than tensors, with hashes; unreadable contents have none.
struct HDF5Contents {
  private let file: hid_t
  private(set) var all: [OtherContent] = []

  init(file: hid_t) { self.file = file }

  mutating func add(
    _ name: TensorName, attribute: String? = nil, value: AttributeValue? = nil, _ kind: String,
    _ digest: Fingerprint?
  ) {
    all.append(OtherContent(name, attribute: attribute, value: value, kind, digest))
  }

  /// Adds the attributes of a group, or the group itself if it is empty and has no attributes.
  mutating func add(group: hid_t, _ name: TensorName, isEmpty: Bool) throws(DiffError) {
    try add(attributesOf: group, name == "" ? "/" : name)
    if isEmpty, name != "", try HDF5Attribute.count(of: group) == 0 {
      add(name, "an empty group", HDF5Digest(file).value)
    }
  }

  mutating func add(attributesOf object: hid_t, _ name: TensorName) throws(DiffError) {
    for number in 0..<(try HDF5Attribute.count(of: object)) {
      let attribute = try HDF5Attribute.open(number, of: object)
      let title = try HDF5Attribute.name(attribute.id)
      let digest = HDF5Digest(file)
      let isRead: Void? = try? digest.add(attribute: attribute.id)
      add(
        name,
        attribute: String(decoding: title.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self),
        value: try HDF5Attribute.value(attribute), "an attribute", isRead.map { digest.value })
    }
  }

  /// Adds a dataset that is not a tensor, and its attributes.
  mutating func add(dataset: hid_t, _ name: TensorName, _ kind: String) throws(DiffError) {
    try add(attributesOf: dataset, name)
    let digest = HDF5Digest(file)
    let isRead: Void? = try? digest.add(dataset: dataset)
    add(name, kind, isRead.map { digest.value })
  }

  mutating func add(datatype: hid_t, _ name: TensorName) throws(DiffError) {
    try add(attributesOf: datatype, name)
    let digest = HDF5Digest(file)
    let isRead: Void? = try? digest.add(datatype: datatype)
    add(name, "a datatype with a name", isRead.map { digest.value })
  }

  /// Adds a link that is not followed, with a hash of its value.
  mutating func add(
    link: HDF5Links.Link, of group: hid_t, _ name: TensorName, _ kind: String
  ) throws(DiffError) {
    let what = "cannot read a link"
    var info = H5L_info_t()
    try unsafe H5Lget_info(group, link.name, &info, dk_H5P_DEFAULT).orThrow(what)
    var bytes = [UInt8](repeating: 0, count: unsafe info.u.val_size)
    if !bytes.isEmpty {
      try unsafe H5Lget_val(group, link.name, &bytes, bytes.count, dk_H5P_DEFAULT).orThrow(what)
    }
    let digest = HDF5Digest(file)
    digest.add(bytes.span)
    add(name, kind, digest.value)
  }
}
