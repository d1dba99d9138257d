#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Removes a file that a test made, if it exists.
package func removeFile(_ path: String) { try? FileManager.default.removeItem(atPath: path) }
