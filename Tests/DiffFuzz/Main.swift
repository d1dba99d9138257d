import DiffFormat
import SystemSupport
import TensorCore

// Fuzzing of the reader with libFuzzer, from the repository's folder (CORPUS is a new one):
//
//   swift build -c release --scratch-path .build-fuzz --product DiffFuzz --sanitize address \
//     -Xswiftc -sanitize=fuzzer -Xswiftc -DLIBFUZZER -Xswiftc -DDIFFKIT_FUZZING \
//     -Xswiftc -use-ld=lld
//   .build-fuzz/release/DiffFuzz CORPUS samples/valid samples/invalid -max_total_time=3600 \
//     -artifact_prefix=/tmp/
//
// Built without these flags, it reads the files in its arguments, to reproduce a finding.

#if LIBFUZZER
@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
  _ count: UnsafeMutablePointer<CInt>,
  _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
  _ body: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

@_silgen_name("LLVMFuzzerMutate")
private func mutate(_ data: UnsafeMutablePointer<UInt8>, _ size: Int, _ limit: Int) -> Int

/// Mutates the pages, the index or everything, and then corrects the sizes in the footer,
/// which would otherwise nearly always end the reading.
@_cdecl("LLVMFuzzerCustomMutator")
public func mutateDiff(
  _ data: UnsafeMutablePointer<UInt8>, _ size: Int, _ limit: Int, _ seed: CUnsignedInt
) -> Int {
  let (head, foot) = (Layout.headerSize, Layout.footerSize)
  guard size >= head + foot, limit >= size, seed % 8 != 0 else {
    return unsafe mutate(data, size, limit)
  }
  var file = unsafe Array(UnsafeBufferPointer(start: data, count: size))
  let stored = file[(size - foot)..<(size - foot + 8)].reversed().reduce(UInt64(0)) {
    $0 << 8 | UInt64($1)
  }
  let indexSize = stored <= UInt64(size - head - foot) ? Int(stored) : 0
  let indexStart = size - foot - indexSize
  let isIndex = seed % 2 == 0
  let part = isIndex ? indexStart..<size - foot : head..<indexStart
  var room = Array(file[part]) + [UInt8](repeating: 0, count: limit - size)
  guard !room.isEmpty else { return unsafe mutate(data, size, limit) }
  let length = unsafe room.withUnsafeMutableBufferPointer { buffer in
    unsafe buffer.baseAddress.map { unsafe mutate($0, part.count, buffer.count) } ?? 0
  }
  file.replaceSubrange(part, with: room[..<length])
  let footer = file.count - foot
  let newIndexSize = UInt64(isIndex ? length : indexSize)
  file.replaceSubrange(footer..<footer + 8, with: newIndexSize.littleEndianBytes)
  file.replaceSubrange(footer + 8..<footer + 16, with: UInt64(file.count).littleEndianBytes)
  for (index, byte) in file.enumerated() { unsafe data[index] = byte }
  return file.count
}
#endif

@main struct Main {
  static func main() throws {
    #if LIBFUZZER
    var count = CommandLine.argc
    var arguments = unsafe CommandLine.unsafeArgv
    let status = unsafe withUnsafeMutablePointer(to: &arguments) { pointer in
      unsafe pointer.withMemoryRebound(
        to: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>.self, capacity: 1
      ) {
        unsafe runDriver(&count, $0) { data, size in
          readEverything(unsafe Array(UnsafeBufferPointer(start: data, count: size)))
          return 0
        }
      }
    }
    if status != 0 { fatalError("libFuzzer ended with \(status)") }
    #else
    for path in CommandLine.arguments.dropFirst() {
      let file = try File(path)
      var bytes = [UInt8](repeating: 0, count: Int(try file.size))
      var span = bytes.mutableSpan
      try file.read(at: 0, into: &span)
      readEverything(bytes)
    }
    #endif
  }
}
