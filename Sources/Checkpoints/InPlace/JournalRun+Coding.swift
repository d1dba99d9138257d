import Kernels
import TensorCore

// The encoding of a run in a journal:
//
//     offset        u64, of the first element in the file
//     width         u32, bytes of an element
//     elements      u32, from the first changed one to the last
//     changes       u32
//     samples       u32
//     positions     u16 for each change, relative to the first element; none if all change
//     positions     u16 for each sample
//     new bytes     of each change
//     old bytes     of each sample

extension JournalRun {
  private static let maximumCount = 1 << 16
  /// The maximum number of unchanged bytes between two changes of a run; they are read and written
  /// with them.
  private static let maximumGap = 1 << 12
  private static let maximumSamples = 16

  /// Appends to a record the runs of changes to contiguous bytes of a file.
  ///
  /// - Parameters:
  ///   - bytes: the new bytes.
  ///   - offset: their offset in the file.
  ///   - positions: the elements among them that change, ascending.
  ///   - old: the old bytes of these elements.
  static func append(
    _ bytes: Span<UInt8>, width: Int, at offset: UInt64, changing positions: Span<UInt32>,
    from old: Span<UInt8>, to record: inout [UInt8]
  ) {
    var first = 0
    while first < positions.count {
      var end = first + 1
      while end < positions.count,
        Int(positions[end] - positions[end - 1]) * width <= maximumGap,
        Int(positions[end] - positions[first]) < maximumCount
      { end += 1 }
      appendRun(
        bytes, width: width, at: offset, changing: positions.extracting(first..<end),
        from: old.extracting(first * width..<end * width), to: &record)
      first = end
    }
  }

  private static func appendRun(
    _ bytes: Span<UInt8>, width: Int, at offset: UInt64, changing positions: Span<UInt32>,
    from old: Span<UInt8>, to record: inout [UInt8]
  ) {
    let first = positions[0]
    let count = Int(positions[positions.count - 1] - first) + 1
    let isDense = positions.count * (2 + width) >= count * width
    let samples = stride(
      from: 0, to: positions.count, by: (positions.count - 1) / maximumSamples + 1)
    record.append(littleEndian: offset + UInt64(first) * UInt64(width))
    for number in [width, count, isDense ? count : positions.count, Array(samples).count] {
      record.append(littleEndian: UInt32(number))
    }
    func append(position: Int) {
      record.append(littleEndian: UInt16(truncatingIfNeeded: positions[position] - first))
    }
    if !isDense { for position in positions.indices { append(position: position) } }
    for sample in samples { append(position: sample) }
    let start = Int(first) * width
    if isDense {
      record.append(copying: bytes.extracting(start..<start + count * width))
    } else {
      record += Kernels.gathered(bytes, width: width, at: positions)
    }
    for sample in samples {
      record.append(copying: old.extracting(sample * width..<(sample + 1) * width))
    }
  }

  /// Decodes the run at the start of `rest`, the unread part of a record, and removes it from
  /// `rest`; nil if it is invalid.
  init?(_ record: [UInt8], _ rest: inout Range<Int>) {
    guard let header = rest.takeFirst(24) else { return nil }
    offset = record.littleEndian(at: header.lowerBound)
    let numbers = stride(from: header.lowerBound + 8, to: header.upperBound, by: 4).map {
      Int(record.littleEndian(at: $0, as: UInt32.self))
    }
    let (width, count, changes, samples) = (numbers[0], numbers[1], numbers[2], numbers[3])
    guard (1...8).contains(width), (1...Self.maximumCount).contains(count), changes <= count,
      samples <= Self.maximumSamples
    else { return nil }
    func positions(_ number: Int) -> [UInt32]? {
      guard let bytes = rest.takeFirst(2 * number) else { return nil }
      let list = stride(from: bytes.lowerBound, to: bytes.upperBound, by: 2).map {
        UInt32(record.littleEndian(at: $0, as: UInt16.self))
      }
      let ascend = zip(list, list.dropFirst()).allSatisfy(<)
      return ascend && Int(list.last ?? 0) < count ? list : nil
    }
    var some: [UInt32]?
    if changes < count {
      guard let list = positions(changes) else { return nil }
      some = list
    }
    guard let sampled = positions(samples), let new = rest.takeFirst(changes * width),
      let old = rest.takeFirst(samples * width)
    else { return nil }
    self.width = width
    self.count = count
    self.positions = some
    self.samples = sampled
    self.record = record
    self.new = new
    self.old = old
  }

  /// Decodes a run of a journal of diffkit 1.0, as one that reverts it:
  ///
  ///     offset        u64, in the file
  ///     length        u32
  ///     old bytes
  ///     new bytes
  init?(undoing record: [UInt8], _ rest: inout Range<Int>) {
    guard let header = rest.takeFirst(12) else { return nil }
    offset = record.littleEndian(at: header.lowerBound)
    width = 1
    count = Int(record.littleEndian(at: header.lowerBound + 8, as: UInt32.self))
    guard let old = rest.takeFirst(count), let new = rest.takeFirst(count) else { return nil }
    positions = nil
    samples = (0..<UInt32(count)).map { $0 }
    self.record = record
    // The old bytes are the ones to write.
    self.new = old
    self.old = new
  }
}

extension Range<Int> {
  /// Removes and returns the first `number` indices; returns nil and removes none if there are
  /// fewer.
  fileprivate mutating func takeFirst(_ number: Int) -> Range<Int>? {
    guard number <= count else { return nil }
    defer { self = lowerBound + number..<upperBound }
    return lowerBound..<lowerBound + number
  }
}
