#if Training
import COneDNN
import Platform

/// oneDNN's products of matrices, each on the calling thread alone: threads are ours.
enum OneDNN {
  /// Whether this build has it.
  static let isIncluded = true

  /// Whether this processor multiplies bf16.
  static var hasHalf: Bool {
    let needed = dnnl_cpu_isa_avx512_core_bf16.rawValue
    return dnnl_get_effective_cpu_isa().rawValue & needed == needed
  }

  /// The instructions that this processor calculates with: other ones may round otherwise.
  static var instructions: String {
    "isa 0x" + String(dnnl_get_effective_cpu_isa().rawValue, radix: 16)
  }

  /// The number of threads that the calling thread starts in the OpenMP with which oneDNN may have
  /// been built; nil for other builds. Looked up, since which library has it depends on the build.
  private static let openMP:
    (
      threads: @convention(c) () -> Int32, setThreads: @convention(c) (Int32) -> Void
    )? = {
      // The global scope, as <dlfcn.h> has it in a macro that Swift does not see.
      #if canImport(Darwin)
      let global = unsafe UnsafeMutableRawPointer(bitPattern: -2)
      #else
      let global: UnsafeMutableRawPointer? = nil
      #endif
      guard let get = unsafe dlsym(global, "omp_get_max_threads"),
        let set = unsafe dlsym(global, "omp_set_num_threads")
      else { return nil }
      return unsafe (
        unsafeBitCast(get, to: (@convention(c) () -> Int32).self),
        unsafeBitCast(set, to: (@convention(c) (Int32) -> Void).self)
      )
    }()

  /// Keeps the products that `body` starts on this thread. Afterwards the thread, which may be one
  /// of the host program's, has the number of OpenMP threads that it had.
  static func onThisThread(_ body: () -> Void) {
    guard let openMP else { return body() }
    let threads = openMP.threads()
    openMP.setThreads(1)
    defer { openMP.setThreads(threads) }
    body()
  }

  /// Which factor of a product is stored with its rows as columns.
  enum Transposed { case neither, first, second }

  /// c = factor · a · b, or c += that.
  ///
  /// - Parameters:
  ///   - a: [m, k], or [k, m] if transposed.
  ///   - b: [k, n], or [n, k] if transposed.
  ///   - c: [m, n].
  static func multiply(
    _ a: FloatMatrix, _ b: FloatMatrix, transposed: Transposed = .neither, factor: Float = 1,
    adding: Bool = false, into c: FloatMatrix
  ) {
    let (m, inner) = transposed == .first ? (a.columns, a.rows) : (a.rows, a.columns)
    let (k, n) = transposed == .second ? (b.columns, b.rows) : (b.rows, b.columns)
    precondition(inner == k && c.rows == m && c.columns == n)
    if c.count == 0 { return }
    let status = unsafe dnnl_sgemm(
      transposed == .first ? yes : no, transposed == .second ? yes : no, dnnl_dim_t(m),
      dnnl_dim_t(n), dnnl_dim_t(k), factor, a.pointer, dnnl_dim_t(a.stride), b.pointer,
      dnnl_dim_t(b.stride), adding ? 1 : 0, c.pointer, dnnl_dim_t(c.stride))
    precondition(status == dnnl_success, "oneDNN refused a product of matrices")
  }

  private static let yes = CChar(UInt8(ascii: "T"))
  private static let no = CChar(UInt8(ascii: "N"))
}
#endif
