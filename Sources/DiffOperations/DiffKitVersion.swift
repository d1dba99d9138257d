/// The version of diffkit: of the program, of the C library, and in the metadata of trained diffs.
package enum DiffKitVersion {
  package static let current = "0.1.0"
}
