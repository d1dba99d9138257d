#if Training
import COneDNN
import Platform

/// Matrix products of oneDNN, each on the calling thread only: `Engine` manages the threads.
enum OneDNN {
  /// True if this build includes oneDNN.
  static let isIncluded = true

  /// True if this processor multiplies bf16.
  static var hasHalf: Bool {
    let needed = dnnl_cpu_isa_avx512_core_bf16.rawValue
    return dnnl_get_effective_cpu_isa().rawValue & needed == needed
  }

  /// The instruction set that oneDNN uses on this processor; others may round differently.
  static var instructions: String {
    "isa 0x" + String(dnnl_get_effective_cpu_isa().rawValue, radix: 16)
  }

  /// OpenMP's functions for the number of threads that the calling thread starts; nil if oneDNN
  /// was built without OpenMP. Looked up, since the library that has them depends on the build.
  private static let openMP:
    (
      threads: @convention(c) () -> Int32, setThreads: @convention(c) (Int32) -> Void
    )? = {
      // RTLD_DEFAULT, a macro of <dlfcn.h> that Swift does not import.
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

  /// Runs `body` with oneDNN's products confined to this thread. Then restores its number of OpenMP
  /// threads, since the thread may belong to the host program.
  static func onThisThread(_ body: () -> Void) {
    guard let openMP else { return body() }
    let threads = openMP.threads()
    openMP.setThreads(1)
    defer { openMP.setThreads(threads) }
    body()
  }

  /// The factor of a product that is stored transposed.
  enum Transposed { case neither, first, second }

  /// Sets c to factor · a · b, or adds that to c.
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
    precondition(status == dnnl_success, "oneDNN failed to multiply matrices")
  }

  private static let yes = CChar(UInt8(ascii: "T"))
  private static let no = CChar(UInt8(ascii: "N"))
}
#endif
