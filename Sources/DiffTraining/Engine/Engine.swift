#if Training
  import TensorCore

  /// Where a model is calculated: threads, and memory that is used again for every batch.
  public final class Engine {
    /// In how many parts work is split. Results are the same bits for the same number.
    public let threads: Int
    let arena = Arena()

    /// - Parameter threads: As many as the processor has cores, unless given.
    public init(threads: Int? = nil) {
      self.threads = max(1, threads ?? ProcessorCount.online)
    }

    /// Runs `body` for parts of `0..<count` at the same time.
    ///
    /// - Parameter grain: Parts begin at multiples of it.
    func split(_ count: Int, grain: Int = 1, _ body: @Sendable (Range<Int>) -> Void) {
      let grains = (count + grain - 1) / grain
      let parts = min(threads, grains)
      parallel(parts) { part in
        let start = grains * part / parts * grain
        body(start..<min(count, grains * (part + 1) / parts * grain))
      }
    }

    /// Runs `body` for parts of two ranges at the same time, each thread one part of either.
    func split(
      _ first: Int, _ second: Int, grain: Int,
      _ body: @Sendable (_ first: Range<Int>, _ second: Range<Int>) -> Void
    ) {
      let threads = self.threads
      let grains = (second + grain - 1) / grain
      parallel(threads) { part in
        let start = min(second, grains * part / threads * grain)
        let end = min(second, grains * (part + 1) / threads * grain)
        body(first * part / threads..<first * (part + 1) / threads, start..<end)
      }
    }

    /// Runs `body(0)` … `body(count - 1)` at the same time, with what every thread that
    /// calculates has to have set.
    func parallel(_ count: Int, _ body: @Sendable (Int) -> Void) {
      parallelFor(count) { part in
        Kernels.withoutSubnormals {
          OneDNN.stayOnThread()
          body(part)
        }
      }
    }
  }
#endif
