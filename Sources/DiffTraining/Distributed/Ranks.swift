import Platform
import SystemSupport
import TensorCore

/// The processes that train one model together, seen from one of them.
///
/// Each has all parameters and reads its share of the rows of every batch. Gradients are summed, in
/// the order of the ranks, and everything else is a function of sums: so all ranks take the same
/// steps. A process that trains alone is the only rank, without any cost.
///
/// Ranks are used by one thread.
public final class Ranks {
  /// The rank of this process, counted from 0.
  public let rank: Int
  /// The number of processes.
  public let count: Int
  /// The name of this machine; empty for a process alone.
  public let host: String
  /// The number of ranks on this machine.
  public let neighbours: Int
  /// The number of seconds that a rank waits for the others before it gives up; ten times as many
  /// while inputs are read.
  public var timeout = 60.0
  /// The type that gradients are sent in; sums are taken in float32.
  public var precision = Precision.f32
  /// The number of payload bytes that this rank has passed to MPI, each counted once.
  public private(set) var traffic: UInt64 = 0
  /// A Boolean that is true if all ranks are ending: none waits for another.
  public private(set) var areLeaving = false

  private let transport: (any Transport)?
  /// Memory for small transfers.
  private var memory = FloatBuffer(count: 0)

  /// Creates the ranks of a single process.
  public init() {
    (rank, count, neighbours, host) = (0, 1, 1, "")
    transport = nil
  }

  /// Creates the ranks of a transport that has joined them.
  package init(_ transport: any Transport) {
    (rank, count) = (transport.rank, transport.count)
    (neighbours, host) = (transport.neighbours, transport.host)
    self.transport = transport
  }

  /// Returns the ranks that a launcher of MPI (`mpirun`, `srun`) started, or a single one without a
  /// launcher. Must be called once.
  ///
  /// - Throws: `unsupported` in a build without the trait `Distributed`, which would train once for
  ///   each process, over one output; `io` if MPI fails.
  public static func joined() throws(DiffError) -> Ranks {
    let launch = Launch.current
    if launch.count == 1 { return Ranks() }
    guard MPITransport.isIncluded else {
      throw DiffError(
        .unsupported,
        "was started as one of \(launch.count) processes, but this build trains with one: install "
          + "Open MPI (libopenmpi-dev) and build with the package's trait Distributed")
    }
    let transport = try MPITransport()
    guard transport.count == launch.count else {
      throw DiffError(
        .unsupported,
        "was started as one of \(launch.count) processes, but MPI reports \(transport.count); "
          + "start them with mpirun, or with srun by way of PMIx")
    }
    return Ranks(transport)
  }

  /// True if this build includes MPI.
  public static var areIncluded: Bool { MPITransport.isIncluded }

  /// True if a launcher started this process as one other than the first, which reports the errors
  /// that all ranks have.
  public static var isLaunchedAsOther: Bool { Launch.current.rank > 0 }

  /// A Boolean that is true for the rank that writes files and prints messages.
  public var isFirst: Bool { rank == 0 }

  /// The number of processors that every rank may use.
  public var processors: Int {
    get throws(DiffError) {
      // Launchers bind ranks to cores of their own, or leave all of them to all ranks.
      let isBound = ProcessorCount.online < ProcessorCount.installed
      let own = isBound ? ProcessorCount.online : max(1, ProcessorCount.online / neighbours)
      return Int(try gather(UInt64(own), patience: Self.whileReading).min() ?? 1)
    }
  }

  // MARK: Small transfers

  /// Returns the bytes of each rank.
  func gather(_ bytes: [UInt8], patience: Double = 1) throws(DiffError) -> [[UInt8]] {
    guard let transport else { return [bytes] }
    let counts = try gather(UInt64(bytes.count), patience: patience).map { Int($0) }
    var parts: [Range<Int>] = []
    for count in counts {
      let start = parts.last?.upperBound ?? 0
      parts.append(start..<start + (count + 3) / 4)
    }
    let words = scratch(parts[count - 1].upperBound)
    words.put(bytes, at: parts[rank].lowerBound)
    traffic += UInt64(4 * parts[rank].count)
    try wait(transport.gather(words, parts, isSum: false), patience: patience)
    return zip(parts, counts).map { words.bytes($0, count: $1) }
  }

  /// Returns the number of each rank.
  func gather(_ number: UInt64, patience: Double = 1) throws(DiffError) -> [UInt64] {
    guard let transport else { return [number] }
    let words = scratch(2 * count)
    words.put(number.littleEndianBytes, at: 2 * rank)
    traffic += 8
    try wait(
      transport.gather(words, (0..<count).map { 2 * $0..<2 * $0 + 2 }, isSum: false),
      patience: patience)
    return (0..<count).map {
      words.bytes(2 * $0..<2 * $0 + 2, count: 8).littleEndian(at: 0)
    }
  }

  /// Returns the sum of a number over the ranks, in their order.
  func sum(_ number: Double) throws(DiffError) -> Double {
    guard transport != nil else { return number }
    return try gather(number.bitPattern).reduce(0) { $0 + Double(bitPattern: $1) }
  }

  /// Returns whether a condition holds for a rank.
  func any(_ isSo: Bool) throws(DiffError) -> Bool {
    guard transport != nil else { return isSo }
    return try gather(isSo ? 1 : 0).contains(1)
  }

  /// Returns the answers of the first rank, whose files and clock are used.
  public func first(_ answers: [Bool]) throws(DiffError) -> [Bool] {
    guard transport != nil else { return answers }
    return try gather(isFirst ? answers.map { $0 ? 1 : 0 } : [], patience: Self.whileReading)[0]
      .map { $0 != 0 }
  }

  /// Sends the first rank's values to all.
  func broadcast(_ values: FloatBuffer, _ range: Range<Int>) throws(DiffError) {
    guard let transport else { return }
    var rest = range
    while !rest.isEmpty {
      let part = rest.prefix(GradientSum.blockSize)
      if isFirst { traffic += UInt64(4 * part.count) }
      try wait(transport.broadcast(values, part))
      rest = rest.dropFirst(part.count)
    }
  }

  /// Sends the first rank's bytes to all; their number must be the same everywhere.
  func broadcast(_ bytes: inout [UInt8]) throws(DiffError) {
    guard transport != nil else { return }
    let words = scratch((bytes.count + 3) / 4)
    if isFirst { words.put(bytes, at: 0) }
    try broadcast(words, 0..<(bytes.count + 3) / 4)
    bytes = words.bytes(0..<(bytes.count + 3) / 4, count: bytes.count)
  }

  private func scratch(_ words: Int) -> FloatBuffer {
    if memory.count < words { memory = FloatBuffer(count: words) }
    return memory
  }

  // MARK: Gradients

  /// Begins to send each rank its part; see `Transport.exchange`.
  func exchange(
    _ values: FloatBuffer, _ parts: [Range<Int>], into received: FloatBuffer
  ) throws(DiffError) -> (any Transfer)? {
    let all = parts.reduce(0) { $0 + $1.count }
    traffic += UInt64(4 * (all - parts[rank].count))
    return try transport?.exchange(values, parts, into: received)
  }

  /// Begins to send each rank's part to all.
  func gatherSums(
    _ values: FloatBuffer, _ parts: [Range<Int>]
  ) throws(DiffError) -> (any Transfer)? {
    traffic += UInt64(4 * parts[rank].count)
    return try transport?.gather(values, parts, isSum: true)
  }

  // MARK: Waiting

  /// The factor of the time that ranks wait for each other while they read their inputs.
  static let whileReading = 10.0

  private func wait(_ transfer: any Transfer, patience: Double = 1) throws(DiffError) {
    try wait(patience: patience) { () throws(DiffError) in try transfer.isOver() }
  }

  /// Waits until a transfer with other ranks is over.
  func wait(
    patience: Double = 1, _ isOver: () throws(DiffError) -> Bool
  ) throws(DiffError) {
    if try isOver() { return }
    let clock = ContinuousClock()
    let start = clock.now
    // The lowest rank that waits gives up first, so that one reports for all.
    let limit = patience * timeout + 0.2 * Double(min(rank, 20))
    while try !isOver() {
      let waited = (clock.now - start) / .seconds(1)
      guard waited < limit else {
        throw DiffError(
          .io,
          "waited for \(Int(patience * timeout)) s for the other ranks: one has died, is too slow, "
            + "or cannot be reached", remedy: .resume)
      }
      // Ranks may share cores; MPI advances transfers while it is tested.
      if waited < 0.02 { sched_yield() } else { usleep(50) }
    }
  }

  // MARK: Ends

  /// Runs a function that may fail on some ranks only, and throws on all of them if it fails on
  /// one: the error of the first one.
  public func agree<Result>(_ body: () throws(DiffError) -> Result) throws(DiffError) -> Result {
    guard transport != nil else { return try body() }
    var result: Result?
    var failure: DiffError?
    do throws(DiffError) { result = try body() } catch { failure = error }
    let text = failure?.line(\.description)
    let texts = try gather(Array((text ?? "").utf8), patience: Self.whileReading)
    guard let failed = texts.firstIndex(where: { !$0.isEmpty }) else {
      guard let result else { preconditionFailure("neither a result nor an error") }
      return result
    }
    areLeaving = true
    if let failure, failed == rank { throw failure }
    throw DiffError(
      .mismatch, "rank \(failed): \(String(decoding: texts[failed], as: UTF8.self))")
  }

  /// Returns an error that every rank has found.
  func common(_ error: DiffError) -> DiffError {
    areLeaving = true
    return error
  }

  /// Records that all ranks stop because one was requested to.
  func leave() { areLeaving = true }

  /// Refuses ranks that are not alike.
  ///
  /// - Parameter parts: The properties that must be equal on all ranks, with their names.
  public func require(
    same parts: @autoclosure () -> [(name: String, text: String)]
  ) throws(DiffError) {
    guard transport != nil else { return }
    let parts = parts()
    let own = parts.flatMap { XXH3.hash64(Array($0.text.utf8).span).littleEndianBytes }
    let all = try gather(own + Array(host.utf8), patience: Self.whileReading)
    for (index, part) in parts.enumerated() {
      let bytes = 8 * index..<8 * index + 8
      guard
        let other = all.firstIndex(where: {
          $0.count < bytes.upperBound || $0[bytes] != all[0][bytes]
        })
      else { continue }
      let hosts = all.map { String(decoding: $0.dropFirst(own.count), as: UTF8.self) }
      throw common(
        DiffError(
          .mismatch,
          "rank \(other) on \(hosts[other]) has \(part.name) than rank 0 on \(hosts[0])"))
    }
  }

  /// Leaves MPI; all ranks must call it.
  public func finish() { transport?.finish() }

  /// Ends all ranks, this one last.
  public func abort() -> Never {
    // MPI may wait for ranks that cannot be reached any more.
    _ = BackgroundThread.start {
      sleep(3)
      _exit(2)
    }
    transport?.abort()
    _exit(2)
  }
}

extension FloatBuffer {
  /// Stores bytes from a word on.
  fileprivate func put(_ bytes: [UInt8], at start: Int) {
    var span = mutableBytes(start..<start + (bytes.count + 3) / 4)
    for index in bytes.indices { span[index] = bytes[index] }
  }

  /// Returns the first bytes of some words.
  fileprivate func bytes(_ range: Range<Int>, count: Int) -> [UInt8] {
    let span = bytes(range)
    return (0..<count).map { span[$0] }
  }
}
