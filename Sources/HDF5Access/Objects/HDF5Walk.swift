import CHDF5
import Checkpoints
import TensorCore

/// A traversal in ascending order of paths. It enters a group once, under the smallest path that
/// leads through no group twice, so that cycles end.
struct HDF5Walk {
  let userBlock: UInt64
  let takesStandardOutput: Bool
  var table = HDF5Table()
  var groups: Set<haddr_t> = []
  var aliases: [Int: [TensorName]] = [:]
  /// The place in the table of each dataset seen; nil for those skipped.
  private var datasets: [haddr_t: Int?] = [:]

  private static let maximumDepth = 100

  init(userBlock: UInt64, takesStandardOutput: Bool) {
    self.userBlock = userBlock
    self.takesStandardOutput = takesStandardOutput
  }

  /// - Parameter label: what Keras 3 calls the layer whose variables the group holds.
  mutating func visit(
    _ group: hid_t, prefix: String, label: String?, depth: Int
  ) throws(DiffError) {
    var entries: [(key: TensorName, path: TensorName, link: HDF5Links.Link, object: HDF5Object)] =
      []
    for link in try HDF5Links.all(of: group) {
      guard let name = link.text else {
        skip("\(prefix)\(link.repaired)", "a name that is not valid UTF-8")
        continue
      }
      let path: TensorName = "\(prefix)\(name)"
      guard link.kind == H5L_TYPE_HARD else {
        let kind = link.kind == H5L_TYPE_SOFT ? "a soft link" : "an external link"
        skip(path, "\(kind), which is not followed")
        continue
      }
      let object: HDF5Object
      do throws(DiffError) {
        object = try HDF5Object(group, link.name)
      } catch { throw error.at(tensor: path) }
      // With its separator, a group stands where the paths below it belong.
      let key = TensorName(object.type == H5O_TYPE_GROUP ? name + "/" : name)
      entries.append((key, path, link, object))
    }
    entries.sort { $0.key < $1.key }
    for entry in entries {
      do throws(DiffError) {
        try visit(entry.link, of: group, entry.path, label, entry.object, depth)
      } catch { throw error.at(tensor: entry.path) }
    }
  }

  private mutating func visit(
    _ link: HDF5Links.Link, of group: hid_t, _ path: TensorName, _ label: String?,
    _ object: HDF5Object, _ depth: Int
  ) throws(DiffError) {
    switch object.type {
    case H5O_TYPE_GROUP:
      guard depth < Self.maximumDepth else {
        return skip(path, "nested in more than \(Self.maximumDepth) groups")
      }
      guard groups.insert(object.address).inserted else { return }
      let child = try open(link, of: group)
      let label = link.text == "vars" ? try HDF5Attribute.text("name", of: child.id) : nil
      try visit(child.id, prefix: "\(path)/", label: label, depth: depth + 1)
    case H5O_TYPE_DATASET:
      if let seen = datasets[object.address] {
        if let index = seen { aliases[index, default: []].append(path) }
        return
      }
      let dataset = try open(link, of: group)
      switch try StoredTensor.describe(
        dataset.id, path, userBlock: userBlock, takesStandardOutput: takesStandardOutput)
      {
      case .tensor(var tensor):
        tensor.label = label
        datasets[object.address] = table.tensors.count
        table.tensors.append(tensor)
      case .skipped(let reason):
        datasets[object.address] = .some(nil)
        skip(path, reason)
      }
    case H5O_TYPE_NAMED_DATATYPE: break
    default: skip(path, "an object of an unknown kind")
    }
  }

  private func open(_ link: HDF5Links.Link, of group: hid_t) throws(DiffError) -> HDF5Handle {
    try HDF5Handle(unsafe H5Oopen(group, link.name, dk_H5P_DEFAULT), "cannot be opened")
  }

  private mutating func skip(_ name: TensorName, _ reason: String) {
    table.skipped.append(SkippedObject(name: name, reason: reason))
  }
}
