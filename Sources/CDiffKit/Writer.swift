import CDiffKitHeader
import DiffFormat
import DiffOperations
import SystemSupport
import TensorCore

/// A `diffkit_writer`: the tensors of both sides, and the options of their diff.
@safe final class Writer: Handled {
  static let noun = "writer"

  private var options = CreateOptions()
  private let progress: ProgressHandler?
  private let isStopped = StopFlag()
  private var base: [CallerTensors.Tensor] = []
  private var tuned: [CallerTensors.Tensor] = []
  /// The diff that was written to memory last.
  private var written: UnsafeMutableRawBufferPointer?

  init(_ options: diffkit_options) throws(DiffError) {
    let known = DIFFKIT_SKIP_NONFLOAT | DIFFKIT_FAST
    guard unsafe options.flags & ~known == 0 else { throw .null }
    self.options.mode = try unsafe CreateMode(options)
    self.options.skipsNonfloat = unsafe options.flags & DIFFKIT_SKIP_NONFLOAT != 0
    self.options.profile = unsafe options.flags & DIFFKIT_FAST != 0 ? .speed : .size
    let isStopped = isStopped
    progress = unsafe options.progress.map { call in
      { progress in
        guard !isStopped.isSet else { return }
        let answer = unsafe call(options.context, progress.phase, progress.done, progress.total)
        if answer != 0 { isStopped.set() }
      }
    }
  }

  deinit { unsafe written?.deallocate() }

  func add(metadata key: String, _ value: String) { options.metadata[key] = value }

  func add(base tensor: diffkit_tensor) throws(DiffError) {
    unsafe base.append(try CallerTensors.Tensor(tensor))
  }

  func add(tuned tensor: diffkit_tensor) throws(DiffError) {
    unsafe tuned.append(try CallerTensors.Tensor(tensor))
  }

  /// Writes the diff to a sink.
  private func write(into sink: any ByteSink) throws(DiffError) -> CreateSummary {
    let old = try CallerTensors(base, called: "base", isStopped)
    let new = try CallerTensors(tuned, called: "tuned", isStopped)
    let summary = try Diffs.create(from: old, to: new, into: sink, options, progress: progress)
    guard !isStopped.isSet else { throw .stopped }
    return summary
  }

  func write(to path: String, overwriting: Bool) throws(DiffError) -> diffkit_summary {
    let sink = try FileSink(path, overwriting: overwriting)
    let summary = try write(into: sink)
    try sink.commit()
    return diffkit_summary(summary, bytes: try File(path).size)
  }

  func writeToMemory() throws(DiffError) -> (UnsafeRawBufferPointer, diffkit_summary) {
    let sink = MemorySink()
    let summary = try write(into: sink)
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: sink.bytes.count, alignment: 16)
    unsafe copy.copyBytes(from: sink.bytes)
    unsafe written?.deallocate()
    unsafe written = copy
    let size = UInt64(copy.count)
    return (UnsafeRawBufferPointer(copy), diffkit_summary(summary, bytes: size))
  }
}

extension CreateMode {
  fileprivate init(_ options: diffkit_options) throws(DiffError) {
    let (density, threshold) = unsafe (options.density, options.threshold)
    switch unsafe CInt(bitPattern: options.operation) {
    case DIFFKIT_XOR: self = .xor
    case DIFFKIT_REPLACE: self = .replace
    case DIFFKIT_ADD:
      guard let values = try ElementType(code: unsafe options.value_type).float, values != .f64
      else { throw DiffError(.usage, "values must be f16, bf16 or f32") }
      guard density >= 0, density <= 1, threshold >= 0, threshold.isFinite,
        density == 0 || threshold == 0
      else { throw DiffError(.usage, "give a density in 0 ... 1, or a threshold, not both") }
      let selection: Selection =
        density > 0 ? .density(density) : threshold > 0 ? .threshold(threshold) : .all
      self = .add(selection, values: values)
      return
    default: throw DiffError(.usage, "the operation must be XOR, REPLACE or ADD")
    }
    guard density == 0, threshold == 0 else {
      throw DiffError(.usage, "a density or a threshold requires ADD")
    }
  }
}

extension CallerTensors.Tensor {
  fileprivate init(_ tensor: diffkit_tensor) throws(DiffError) {
    let text = unsafe UnsafeRawBufferPointer(
      start: tensor.name, count: max(0, tensor.name_length))
    guard unsafe tensor.name != nil, unsafe tensor.name_length >= 0,
      let name = unsafe String(validating: text, as: UTF8.self)
    else { throw DiffError(.usage, "the name of a tensor is NULL, or no UTF-8") }
    self.name = TensorName(name)
    type = try ElementType(code: unsafe tensor.type)
    shape = try unsafe Shape(rank: tensor.rank, tensor.extents, of: type)
    unsafe bytes = tensor.bytes
    let (size, overflow) = shape.count.multipliedReportingOverflow(by: UInt64(type.width))
    guard !overflow, unsafe UInt64(tensor.byte_count.asSize) == size,
      unsafe size == 0 || tensor.bytes != nil
    else {
      throw DiffError(
        .usage, "\(unsafe tensor.byte_count.asSize) bytes, which are no \(type) \(shape)",
        tensor: self.name)
    }
  }
}

extension diffkit_summary {
  fileprivate init(_ summary: CreateSummary, bytes: UInt64) {
    self.init()
    size = MemoryLayout<Self>.size
    changed_tensors = UInt64(summary.changedTensors)
    tensors = UInt64(summary.tensors)
    changes = summary.changes
    elements = summary.elements
    self.bytes = bytes
  }
}
