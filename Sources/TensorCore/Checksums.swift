/// Returns whether a stored checksum or fingerprint equals the computed one. Always true in builds
/// for fuzzing, so that the fuzzer reaches the code after the check.
package func checksumsMatch<Checksum: Equatable>(_ computed: Checksum, _ stored: Checksum) -> Bool {
  #if DIFFKIT_FUZZING
  true
  #else
  computed == stored
  #endif
}
