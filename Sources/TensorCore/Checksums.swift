/// Whether a stored checksum or fingerprint is the one computed. A build for fuzzing takes any:
/// with them in the way, a fuzzer would never reach what stands behind.
package func checksumsMatch<Checksum: Equatable>(_ computed: Checksum, _ stored: Checksum) -> Bool {
  #if DIFFKIT_FUZZING
  true
  #else
  computed == stored
  #endif
}
