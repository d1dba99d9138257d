import CHDF5
import Checkpoints
import Platform
import TensorCore

/// A hash of elements of any datatype, and of the datatype itself: of the characters of texts, the
/// paths of references, and the bytes of all others.
final class HDF5Digest {
  private let file: hid_t
  private var stream = XXH3Stream()

  /// The maximum number of bytes that are read at once, and of one object.
  private static let bufferSize = 8 << 20, maximumSize = 16 << 30

  init(_ file: hid_t) { self.file = file }

  /// The hash of everything that was added.
  var value: Fingerprint { stream.digest }

  func add(_ bytes: Span<UInt8>) {
    stream.update(UInt64(bytes.count).littleEndianBytes.span)
    stream.update(bytes)
  }

  /// Adds the bytes before the terminating zero.
  func add(text: [CChar]) {
    let bytes = text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
    add(bytes.span)
  }

  func add(_ number: Int) { stream.update(UInt64(number).littleEndianBytes.span) }

  func add(attribute: hid_t) throws(DiffError) {
    let what = "cannot read an attribute"
    let space = try HDF5Handle(H5Aget_space(attribute), what)
    let datatype = try HDF5Handle(H5Aget_type(attribute), what)
    let elements = try HDF5Elements(datatype.id)
    let count = try add(space: space.id)
    // h5py writes an empty list of texts as one of numbers.
    let isEmptyList = count == 0 && H5Sget_simple_extent_type(space.id) == H5S_SIMPLE
    if !isEmptyList { try add(datatype: datatype.id) }
    guard count > 0 else { return }
    guard count <= Self.maximumSize / elements.size else { throw DiffError(.limit, what) }
    try unsafe add(count, elements, datatype: datatype.id, space: space.id) { bytes in
      unsafe H5Aread(attribute, datatype.id, bytes)
    }
  }

  func add(dataset: hid_t) throws(DiffError) {
    let what = "cannot be read"
    let creation = try HDF5Handle(H5Dget_create_plist(dataset), what)
    let space = try HDF5Handle(H5Dget_space(dataset), what)
    let datatype = try HDF5Handle(H5Dget_type(dataset), what)
    try add(datatype: datatype.id)
    let count = try add(space: space.id)
    let layout = try HDF5Library.value(what) { H5Pget_layout(creation.id) }
    if layout == H5D_VIRTUAL { return try add(sourcesOf: creation.id) }
    let files = H5Pget_external_count(creation.id)
    try files.orThrow(what)
    if files > 0 { return try add(filesOf: creation.id, files) }
    for filter in try HDF5Filter.all(of: creation.id) { try filter.requireAvailable() }
    let elements = try HDF5Elements(datatype.id)
    guard count > 0 else { return }
    guard count <= Self.maximumSize / elements.size,
      let shape = try StoredTensor.shape(of: space.id)
    else { throw DiffError(.limit, what) }
    var next = 0
    while next < count {
      let end = min(count, next + max(1, Self.bufferSize / elements.size))
      for box in Hyperslab.covering(UInt64(next)..<UInt64(end), of: shape.extents[...]) {
        if !box.start.isEmpty {
          try unsafe H5Sselect_hyperslab(
            space.id, H5S_SELECT_SET, box.start, nil, box.count, nil
          ).orThrow(what)
        }
        let memory = try HDF5Handle(
          unsafe H5Screate_simple(Int32(box.count.count), box.count, nil), what)
        try unsafe add(
          Int(box.count.reduce(1, *)), elements, datatype: datatype.id, space: memory.id
        ) { bytes in
          unsafe H5Dread(dataset, datatype.id, memory.id, space.id, dk_H5P_DEFAULT, bytes)
        }
      }
      next = end
    }
  }

  /// Adds the kind and the extents of a dataspace; returns the number of its elements.
  private func add(space: hid_t) throws(DiffError) -> Int {
    let what = "cannot read the dataspace"
    let extent = try HDF5Library.value(what) { H5Sget_simple_extent_type(space) }
    add(extent == H5S_NULL ? 0 : 1)
    guard extent != H5S_NULL else { return 0 }
    guard let shape = try StoredTensor.shape(of: space) else { throw DiffError(.limit, what) }
    add(shape.extents.count)
    for extent in shape.extents { stream.update(extent.littleEndianBytes.span) }
    return Int(shape.count)
  }

  /// Adds elements that `read` writes to a buffer.
  private func add(
    _ count: Int, _ elements: HDF5Elements, datatype: hid_t, space: hid_t,
    read: (UnsafeMutableRawPointer) -> herr_t
  ) throws(DiffError) {
    var bytes = [UInt8](repeating: 0, count: count * elements.size)
    let status = unsafe bytes.withUnsafeMutableBytes { buffer in
      unsafe buffer.baseAddress.map { unsafe read($0) } ?? -1
    }
    try status.orThrow("cannot be read")
    if elements.isFlat { return add(bytes.span) }
    unsafe bytes.withUnsafeMutableBytes { buffer in
      guard let start = buffer.baseAddress else { return }
      for number in 0..<count {
        unsafe elements.add(UnsafeRawPointer(start + number * elements.size), to: self)
      }
      // Texts and sequences of variable length are allocated by the library.
      _ = unsafe H5Dvlen_reclaim(datatype, space, dk_H5P_DEFAULT, start)
    }
  }

  /// Adds the path of a reference's object, or the reference's bytes if it has none.
  func add(reference: UnsafeRawPointer) {
    let length = unsafe H5Rget_name(file, H5R_OBJECT, reference, nil, 0)
    guard length > 0 else {
      return unsafe add(UnsafeRawBufferPointer(start: reference, count: 8))
    }
    var name = [CChar](repeating: 0, count: length + 1)
    _ = unsafe H5Rget_name(file, H5R_OBJECT, reference, &name, name.count)
    add(text: name)
  }

  func add(_ bytes: UnsafeRawBufferPointer) {
    let copy = unsafe Array(bytes)
    add(copy.span)
  }

  /// Adds the names of a virtual dataset's source datasets, and the selections of their elements.
  private func add(sourcesOf creation: hid_t) throws(DiffError) {
    let what = "cannot read the layout"
    var count = 0
    try unsafe H5Pget_virtual_count(creation, &count).orThrow(what)
    add(count)
    for number in 0..<count {
      try unsafe add(text: { unsafe H5Pget_virtual_filename(creation, number, $0, $1) })
      try unsafe add(text: { unsafe H5Pget_virtual_dsetname(creation, number, $0, $1) })
      for get in [H5Pget_virtual_vspace, H5Pget_virtual_srcspace] {
        let space = try HDF5Handle(get(creation, number), what)
        var size = 0
        try unsafe dk_encode_space(space.id, nil, &size).orThrow(what)
        var bytes = [UInt8](repeating: 0, count: size)
        try unsafe dk_encode_space(space.id, &bytes, &size).orThrow(what)
        add(bytes.span)
      }
    }
  }

  /// Adds a text that `get` writes to a buffer of a given capacity; it returns the text's length.
  private func add(
    text get: (UnsafeMutablePointer<CChar>?, Int) -> Int
  ) throws(DiffError) {
    let length = get(nil, 0)
    guard length >= 0 else {
      throw HDF5Library.error(.unsupportedCheckpoint, "cannot read the layout")
    }
    var text = [CChar](repeating: 0, count: length + 1)
    guard unsafe get(&text, text.count) >= 0 else {
      throw HDF5Library.error(.unsupportedCheckpoint, "cannot read the layout")
    }
    add(text: text)
  }

  /// Adds the names of the external files that hold the elements, with offsets and sizes.
  private func add(filesOf creation: hid_t, _ count: Int32) throws(DiffError) {
    for number in 0..<UInt32(count) {
      var name = [CChar](repeating: 0, count: 4096)
      var offset: off_t = 0
      var size: hsize_t = 0
      try unsafe H5Pget_external(creation, number, name.count, &name, &offset, &size)
        .orThrow("cannot read the layout")
      add(text: name)
      add(Int(offset))
      add(Int(truncatingIfNeeded: size))
    }
  }
}
