import TensorCore

extension SafeTensorsHeader {
  /// Returns the header after changes, and for each of its items the range in this one of the bytes
  /// that it keeps. The widest elements come first, so that all are aligned. O(n log n).
  func changed(
    by changes: [TableChange]
  ) throws(DiffError) -> (header: SafeTensorsHeader, kept: [Range<UInt64>?]) {
    var rows = items.map { (item: $0, kept: Optional($0.range)) }
    var indices: [TensorName: Int] = [:]
    for (index, item) in items.enumerated() { indices[item.name] = index }
    func find(_ name: TensorName) throws(DiffError) -> Int {
      guard let index = indices[name] else {
        throw DiffError(.mismatch, "is not in the checkpoint", tensor: name)
      }
      return index
    }
    for change in changes {
      switch change {
      case .insert(let name, let type, let shape):
        guard indices.updateValue(rows.count, forKey: name) == nil else {
          throw DiffError(.mismatch, "an object of that name already exists", tensor: name)
        }
        rows.append((try Item(name, type, shape), nil))
      case .delete(let name):
        _ = try find(name)
        indices[name] = nil
      case .reshape(let name, let shape):
        let index = try find(name)
        guard let type = rows[index].item.type else { continue }
        rows[index] = (try Item(name, type, shape), nil)
      }
    }
    // Sorted by alignment only: the sort is stable, so related tensors stay together.
    let order = indices.values.sorted {
      let (a, b) = (rows[$0].item.type?.alignment ?? 0, rows[$1].item.type?.alignment ?? 0)
      return a == b ? $0 < $1 : a > b
    }
    var header = self
    header.items = []
    var end: UInt64 = 0
    for row in order {
      var item = rows[row].item
      item.range = end..<end + UInt64(item.range.count)
      end = item.range.upperBound
      header.items.append(item)
    }
    return (header, order.map { rows[$0].kept })
  }
}

extension ElementType {
  /// The alignment of elements in bytes.
  fileprivate var alignment: Int { unit == 1 ? width : 1 }
}
