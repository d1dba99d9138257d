#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The most address space that this process has had, in bytes: what is allocated and never
/// touched counts. Nil where the system does not say.
package func peakAddressSpace() -> Int? {
  guard let status = FileManager.default.contents(atPath: "/proc/self/status") else { return nil }
  let lines = String(decoding: status, as: UTF8.self).split(separator: "\n")
  guard let line = lines.first(where: { $0.hasPrefix("VmPeak:") }) else { return nil }
  return Int(line.filter(\.isNumber)).map { $0 * 1024 }
}
