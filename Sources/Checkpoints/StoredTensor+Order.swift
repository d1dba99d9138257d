extension [StoredTensor] {
  /// In the order of tables: by the bytes of the names.
  var sortedByName: [StoredTensor] {
    sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
  }
}
