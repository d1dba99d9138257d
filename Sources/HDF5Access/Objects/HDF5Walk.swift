import CHDF5
import Checkpoints
import SystemSupport
import TensorCore

/// A traversal in ascending order of paths. It visits a group once, under the smallest path that
/// contains no group twice, so that it terminates on cycles.
struct HDF5Walk {
  let userBlock: UInt64
  let takesStandardOutput: Bool
  var table = HDF5Table()
  /// The contents other than tensors, with hashes; nil if they are not requested.
  var contents: HDF5Contents?
  /// The file, where indexes of chunks are checked in its bytes.
  var file: File?
  var groups: Set<haddr_t> = []
  var aliases: [Int: [TensorName]] = [:]
  /// The datasets seen.
  private var datasets: [haddr_t: Seen] = [:]

  private enum Seen {
    /// A tensor, by its index in the table.
    case tensor(Int)
    case skipped(reason: String, mayHoldNumbers: Bool)
  }

  private static let maximumDepth = 100
  /// The maximum number of damaged tensors; each may take as long as the file is large.
  private static let maximumDamaged = 100

  init(userBlock: UInt64, takesStandardOutput: Bool) {
    self.userBlock = userBlock
    self.takesStandardOutput = takesStandardOutput
  }

  /// Visits all links of a group.
  ///
  /// - Parameter label: Keras 3's name of the layer whose variables the group holds.
  mutating func visit(
    _ group: hid_t, prefix: String, label: String?, depth: Int
  ) throws(DiffError) {
    var entries: [(key: TensorName, path: TensorName, link: HDF5Links.Link, object: HDF5Object)] =
      []
    for link in try HDF5Links.all(of: group) {
      guard let name = link.text else {
        skip("\(prefix)\(link.repaired)", "a name that is not valid UTF-8")
        if contents != nil { try addContents(of: link, in: group, prefix) }
        continue
      }
      let path: TensorName = "\(prefix)\(name)"
      guard link.kind == H5L_TYPE_HARD else {
        let kind = link.kind == H5L_TYPE_SOFT ? "a soft link" : "an external link"
        skip(path, "\(kind), which is not followed", mayHoldNumbers: false)
        try contents?.add(link: link, of: group, path, kind)
        continue
      }
      let object: HDF5Object
      do throws(DiffError) {
        object = try HDF5Object(group, link.name)
      } catch { throw error.at(tensor: path) }
      // The separator sorts a group as the paths inside it.
      let key = TensorName(object.type == H5O_TYPE_GROUP ? name + "/" : name)
      entries.append((key, path, link, object))
    }
    try contents?.add(group: group, TensorName(String(prefix.dropLast())), isEmpty: entries.isEmpty)
    entries.sort { $0.key < $1.key }
    for entry in entries {
      do throws(DiffError) {
        try visit(
          entry.object, at: entry.path, entry.link, of: group, label: label, depth: depth)
      } catch {
        let error = error.at(tensor: entry.path)
        // The other datasets can be read.
        guard entry.object.type == H5O_TYPE_DATASET, contents == nil,
          table.damaged.count < Self.maximumDamaged
        else { throw error }
        table.damaged.append(error)
      }
    }
  }

  private mutating func visit(
    _ object: HDF5Object, at path: TensorName, _ link: HDF5Links.Link, of group: hid_t,
    label: String?, depth: Int
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
        switch seen {
        case .tensor(let index): aliases[index, default: []].append(path)
        case .skipped(let reason, let mayHoldNumbers):
          skip(path, reason, mayHoldNumbers: mayHoldNumbers)
          if contents != nil {
            let dataset = try open(link, of: group)
            try contents?.add(dataset: dataset.id, path, reason)
          }
        }
        return
      }
      let dataset = try open(link, of: group)
      switch try StoredTensor.describe(
        dataset.id, path, userBlock: userBlock, takesStandardOutput: takesStandardOutput,
        withChunks: contents == nil)
      {
      case .tensor(var tensor):
        try checkChunks(of: tensor, header: object.address)
        try contents?.add(attributesOf: dataset.id, path)
        tensor.label = label
        datasets[object.address] = .tensor(table.tensors.count)
        table.tensors.append(tensor)
      case .skipped(let reason, let mayHoldNumbers):
        datasets[object.address] = .skipped(reason: reason, mayHoldNumbers: mayHoldNumbers)
        skip(path, reason, mayHoldNumbers: mayHoldNumbers)
        try contents?.add(dataset: dataset.id, path, reason)
      }
    case H5O_TYPE_NAMED_DATATYPE:
      guard contents != nil else { break }
      let datatype = try open(link, of: group)
      try contents?.add(datatype: datatype.id, path)
    default: skip(path, "an object of an unknown kind")
    }
  }

  private func checkChunks(of tensor: StoredTensor, header: haddr_t) throws(DiffError) {
    guard let file, case .chunked(let chunks) = tensor.storage, !chunks.chunks.isEmpty else {
      return
    }
    try HDF5ChunkTree(file, userBlock: userBlock, chunk: chunks.shape)
      .check(header: UInt64(header))
  }

  /// Adds the object of a link whose name is not valid UTF-8; with a hash only for datasets and
  /// empty groups.
  private mutating func addContents(
    of link: HDF5Links.Link, in group: hid_t, _ prefix: String
  ) throws(DiffError) {
    let path: TensorName = "\(prefix)\(link.repaired)"
    let reason = "a name that is not valid UTF-8"
    guard link.kind == H5L_TYPE_HARD else {
      contents?.add(path, reason, nil)
      return
    }
    let type = try HDF5Object(group, link.name).type
    let object = try open(link, of: group)
    switch type {
    case H5O_TYPE_DATASET: try contents?.add(dataset: object.id, path, reason)
    case H5O_TYPE_GROUP where try HDF5Links.all(of: object.id).isEmpty:
      try contents?.add(group: object.id, path, isEmpty: true)
    default: contents?.add(path, reason, nil)
    }
  }

  private func open(_ link: HDF5Links.Link, of group: hid_t) throws(DiffError) -> HDF5Handle {
    try HDF5Handle(unsafe H5Oopen(group, link.name, dk_H5P_DEFAULT), "cannot be opened")
  }

  private mutating func skip(
    _ name: TensorName, _ reason: String, mayHoldNumbers: Bool = true
  ) {
    table.skipped.append(
      SkippedObject(name: name, reason: reason, mayHoldNumbers: mayHoldNumbers))
  }
}
