import Platform
import TensorCore

/// One end of a pair of sockets between two processes that exchange messages: a length of eight
/// bytes, little-endian, and the bytes.
package final class MessageChannel: Sendable {
  /// The reason why a message was not sent or received.
  package enum Failure: Error, Sendable, Hashable {
    /// The other end is closed: its process ended.
    case closed
    /// The deadline has passed.
    case late
    /// The message is longer than the receiver allows.
    case tooLong
  }

  package let descriptor: Int32

  /// Takes ownership of an open socket.
  package init(adopting descriptor: Int32) { self.descriptor = descriptor }

  deinit { close(descriptor) }

  /// Creates two connected ends, which are closed in programs that this process starts.
  package static func pair() throws(DiffError) -> (MessageChannel, MessageChannel) {
    var ends: [Int32] = [0, 0]
    #if os(Linux)
    let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
    #else
    let kind = SOCK_STREAM
    #endif
    guard unsafe socketpair(AF_UNIX, kind, 0, &ends) == 0 else {
      throw .system("cannot create", "a pair of sockets")
    }
    #if !os(Linux)
    for end in ends {
      _ = fcntl(end, F_SETFD, FD_CLOEXEC)
      var one: Int32 = 1
      unsafe setsockopt(
        end, SOL_SOCKET, SO_NOSIGPIPE, &one, socklen_t(MemoryLayout<Int32>.size))
    }
    #endif
    return (MessageChannel(adopting: ends[0]), MessageChannel(adopting: ends[1]))
  }

  /// Sends a message.
  ///
  /// - Parameter deadline: the time limit; nil to wait without limit.
  package func send(
    _ message: [UInt8], by deadline: ContinuousClock.Instant? = nil
  ) throws(Failure) {
    try put(UInt64(message.count).littleEndianBytes, deadline)
    try put(message, deadline)
  }

  /// Waits for a message of at most `limit` bytes.
  package func receive(
    limit: UInt64, by deadline: ContinuousClock.Instant? = nil
  ) throws(Failure) -> [UInt8] {
    let length: UInt64 = try get(8, deadline).littleEndian(at: 0)
    guard length <= limit else { throw .tooLong }
    return try get(Int(length), deadline)
  }

  private func put(
    _ bytes: [UInt8], _ deadline: ContinuousClock.Instant?
  ) throws(Failure) {
    #if os(Linux)
    let flags = Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)
    #else
    let flags = MSG_DONTWAIT
    #endif
    var done = 0
    while done < bytes.count {
      let sent = unsafe bytes.withUnsafeBufferPointer { buffer in
        let rest = unsafe buffer.baseAddress.map { unsafe $0 + done }
        return unsafe sendBytes(
          to: descriptor, rest, count: buffer.count - done, flags: flags)
      }
      if sent > 0 { done += sent } else { try wait(for: POLLOUT, deadline) }
    }
  }

  private func get(
    _ count: Int, _ deadline: ContinuousClock.Instant?
  ) throws(Failure) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var done = 0
    while done < count {
      try wait(for: POLLIN, deadline)
      let got = unsafe bytes.withUnsafeMutableBufferPointer { buffer in
        let rest = unsafe buffer.baseAddress.map { unsafe $0 + done }
        return unsafe read(descriptor, rest, count - done)
      }
      if got < 0 && (errno == EINTR || errno == EAGAIN) { continue }
      guard got > 0 else { throw .closed }
      done += got
    }
    return bytes
  }

  /// Waits until bytes can be sent or received; throws if the channel is closed or the deadline has
  /// passed.
  private func wait(
    for events: some BinaryInteger, _ deadline: ContinuousClock.Instant?
  ) throws(Failure) {
    var state = pollfd(fd: descriptor, events: Int16(events), revents: 0)
    while true {
      var milliseconds: Int32 = -1
      if let deadline {
        let left = ContinuousClock.now.duration(to: deadline)
        guard left > .zero else { throw .late }
        milliseconds = Int32(clamping: Int64(left / .milliseconds(1)) + 1)
      }
      let ready = unsafe poll(&state, 1, milliseconds)
      if ready < 0 && errno == EINTR || ready == 0 { continue }
      guard ready > 0, state.revents & Int16(POLLNVAL) == 0 else { throw .closed }
      let isWriting = state.events & Int16(POLLOUT) != 0
      if isWriting && state.revents & Int16(POLLHUP | POLLERR) != 0 { throw .closed }
      return
    }
  }
}

// The method's name hides the system's function.
@unsafe private func sendBytes(
  to descriptor: Int32, _ bytes: UnsafePointer<UInt8>?, count: Int, flags: Int32
) -> Int { unsafe send(descriptor, bytes, count, flags) }
