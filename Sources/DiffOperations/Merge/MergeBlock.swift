import CKernels
import DiffFormat

/// Sums of changes to a block of elements that arrive in any order: some numbers for each element
/// (channels), and which elements were changed at all, twice, and in both directions.
///
/// Memory and the time to make one are O(elements); adding and harvesting are O(changes).
struct MergeBlock: Sendable {
  /// How many elements the block has room for: a multiple of 64.
  let size: Int
  /// What was harvested last.
  var harvested: MergedChanges
  private let channels: Int
  private var sums: [Double]
  private var marks: [UInt64]
  /// So many times 64 elements may have been changed.
  private var used = 0

  /// A block of at least one element.
  init(size: Int, channels: Int) {
    self.size = (max(size, 1) + 63) / 64 * 64
    self.channels = channels
    sums = [Double](repeating: 0, count: self.size * channels)
    marks = [UInt64](repeating: 0, count: self.size / 16)
    harvested = MergedChanges(room: self.size, channels: channels)
  }

  /// Adds what the runs have of the elements `first` ..< `first + width`, and moves the cursor
  /// behind: each number v adds to its element, or with terms a, b, c for each channel, first for
  /// numbers above zero, then for those below, `a + b·v + c·v²` to that channel, unless v is zero.
  mutating func add(_ cursor: inout ChangeCursor, from first: UInt32, width: Int) {
    precondition(width <= size)
    let (channels, width) = (UInt32(channels), UInt32(width))
    unsafe sums.withUnsafeMutableBufferPointer { sums in
      unsafe marks.withUnsafeMutableBufferPointer { marks in
        guard let sums = sums.baseAddress, let marks = marks.baseAddress else { return }
        unsafe cursor.advance { runs, count, terms in
          guard let terms = unsafe terms else {
            return unsafe dk_merge_sum(runs, count, first, width, sums, marks, &used)
          }
          return unsafe dk_merge_terms(
            runs, count, first, width, terms, channels, sums, marks, &used)
        }
      }
    }
  }

  /// Moves what the block holds to `harvested`, in ascending order, and empties it.
  mutating func harvest(from first: UInt32) {
    var conflicts: [UInt64] = [0, 0]
    let (channels, used) = (UInt32(channels), used)
    harvested.count = unsafe sums.withUnsafeMutableBufferPointer { sums in
      unsafe marks.withUnsafeMutableBufferPointer { marks in
        unsafe harvested.offsets.withUnsafeMutableBufferPointer { at in
          unsafe harvested.sums.withUnsafeMutableBufferPointer { to in
            guard let sums = sums.baseAddress, let marks = marks.baseAddress,
              let at = at.baseAddress, let to = to.baseAddress
            else { return 0 }
            return unsafe dk_merge_harvest(
              marks, used, channels, sums, first, at, to, &conflicts)
          }
        }
      }
    }
    self.used = 0
    harvested.shared = conflicts[0]
    harvested.opposite = conflicts[1]
  }
}

/// What a block held, in ascending order.
struct MergedChanges: Sendable {
  /// How many positions; the arrays have room for more.
  var count = 0
  /// Positions less an origin that the caller knows.
  var offsets: [UInt32]
  /// The channels of each.
  var sums: [Double]
  /// How many elements were changed twice or more, and how many in both directions.
  fileprivate(set) var shared: UInt64 = 0, opposite: UInt64 = 0

  fileprivate init(room: Int, channels: Int) {
    // The kernel writes in fours.
    offsets = [UInt32](repeating: 0, count: room + 4)
    sums = [Double](repeating: 0, count: room * channels)
  }

  /// The changes, if they have one channel.
  var changes: ChangeView<Double> {
    @_lifetime(borrow self) get {
      ChangeView(at: 0, offsets.span.extracting(first: count), sums.span.extracting(first: count))
    }
  }

  /// Multiplies the one channel, and leaves out what becomes zero.
  mutating func multiply(by factor: Double) {
    let all = count
    count = unsafe offsets.withUnsafeMutableBufferPointer { at in
      unsafe sums.withUnsafeMutableBufferPointer { sums in
        guard let at = at.baseAddress, let sums = sums.baseAddress else { return 0 }
        return unsafe dk_merge_scale(at, sums, all, factor)
      }
    }
  }
}
