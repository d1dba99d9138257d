#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Returns the peak address space of this process in bytes, including memory that is allocated but
/// never touched; nil if the system does not report it.
package func peakAddressSpace() -> Int? {
  guard let status = FileManager.default.contents(atPath: "/proc/self/status") else { return nil }
  let lines = String(decoding: status, as: UTF8.self).split(separator: "\n")
  guard let line = lines.first(where: { $0.hasPrefix("VmPeak:") }) else { return nil }
  return Int(line.filter(\.isNumber)).map { $0 * 1024 }
}
