import Checkpoints
import Platform
import SystemSupport

/// The program `diffkit-hdf5`: answers requests on descriptor 0 about the file that is descriptor
/// 3, until the other side closes the channel. Its arguments are the protocol version and a path of
/// the file, which libhdf5 opens again.
package enum HelperProgram {
  /// The maximum address space, enough for the library to unpack the largest plausible chunks.
  private static let maximumMemory: UInt64 = 3 << 30
  private static let maximumRequest: UInt64 = 1 << 30

  package static func run() -> Never {
    let arguments = ProgramArguments.words
    var status = stat()
    guard arguments.count >= 2, unsafe fstat(HelperProcess.channelDescriptor, &status) == 0,
      status.st_mode & S_IFMT == S_IFSOCK
    else {
      let text = Array("diffkit-hdf5: a helper that diffkit starts; it is not run directly\n".utf8)
      _ = unsafe text.withUnsafeBufferPointer { unsafe write(2, $0.baseAddress, $0.count) }
      exit(2)
    }
    guard arguments[1] == HDF5Helper.version, arguments.count == 3 else {
      exit(HDF5Helper.otherVersion)
    }
    let file = File(adopting: HelperProcess.fileDescriptor, path: "the file")
    // The path may name another file by now.
    guard (try? file.isSame(as: File(arguments[2]))) == true else { exit(HDF5Helper.otherFile) }
    let isWritable = fcntl(file.descriptor, F_GETFL) & O_ACCMODE == O_RDWR
    Confinement.begin(memory: maximumMemory, writing: isWritable)
    let channel = MessageChannel(adopting: HelperProcess.channelDescriptor)
    Confinement.endWithPeer(of: channel)
    let server = HDF5Server(arguments[2], takesStandardOutput: true)
    while let request = try? channel.receive(limit: maximumRequest) {
      // The client has its own time limit; this one applies if the client is stopped.
      let size = (try? file.size) ?? 0
      Confinement.allow(seconds: 60 + size >> 22)
      guard (try? channel.send(server.reply(to: request))) != nil else { break }
    }
    exit(0)
  }
}
