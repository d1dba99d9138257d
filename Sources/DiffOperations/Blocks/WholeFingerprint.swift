import DiffFormat
import TensorCore

extension DiffReader {
  /// The entry with the fingerprint of the tensor that it holds whole, where the file lacks it:
  /// the stored elements serve in its place (spec/FORMAT.md, section 7).
  ///
  /// - Complexity: O(elements of a whole tensor without fingerprint), else nothing.
  func fingerprintingWhole(_ entry: DiffEntry) throws(DiffError) -> DiffEntry {
    var entry = entry
    switch entry.operation {
    case .insert where entry.result == nil: entry.result = try fingerprint(ofWhole: entry)
    case .delete where entry.base == nil: entry.base = try fingerprint(ofWhole: entry)
    default: break
    }
    return entry
  }

  private func fingerprint(ofWhole entry: DiffEntry) throws(DiffError) -> Fingerprint {
    var builder = Fingerprint.Builder(entry.type, entry.shape)
    var block: [UInt8] = []
    var page = PageBuffer()
    for info in entry.pages[.changes] ?? [] {
      do { try page.load(info, of: entry, .changes, from: source) } catch {
        throw error.at(path: path)
      }
      block.append(copying: page.values)
      while block.count >= Blocks.size {
        builder.append(XXH3.hash128(block.span.extracting(0..<Blocks.size)))
        block.removeFirst(Blocks.size)
      }
    }
    if !block.isEmpty { builder.append(XXH3.hash128(block.span)) }
    return builder.fingerprint
  }
}
