import ArgumentParser
import DiffTraining
import TensorCore

/// The option for the precision of large matrix products.
struct PrecisionOption: ParsableArguments {
  enum Choice: String, ExpressibleByArgument, CaseIterable {
    case f32, bf16, auto
  }

  @Option(
    help: ArgumentHelp(
      "The precision of large matrix products (f32); auto: bf16 if the processor supports it."))
  var precision: Choice?

  /// Returns the precision to use.
  ///
  /// - Parameters:
  ///   - standard: The precision without the option.
  ///   - say: Gets a message if `auto` falls back to f32.
  /// - Throws: `unsupported` if this processor lacks it.
  func resolved(or standard: Precision = .f32, _ say: (String) -> Void) throws -> Precision {
    let wanted: Precision
    switch precision {
    case .auto:
      wanted = Precision.fastest
      if wanted == .f32 { say("this processor has no bf16: --precision auto is f32") }
    case .f32: wanted = .f32
    case .bf16: wanted = .bf16
    case nil: wanted = standard
    }
    guard wanted.isAvailable else {
      throw DiffError(
        .unsupported,
        "this processor has no bf16 (avx512_bf16): give --precision f32 or --precision auto")
    }
    return wanted
  }
}

/// Options for running a model without training it.
struct CalculationOptions: ParsableArguments {
  @OptionGroup var precision: PrecisionOption

  @Option(help: "The number of threads; by default the number of cores.")
  var threads: Int?

  func validate() throws {
    guard threads.map({ (1...1024).contains($0) }) ?? true else {
      throw ValidationError("there must be 1 ... 1024 threads")
    }
  }

  func engine() throws -> Engine {
    try Engine(
      threads: threads, precision: precision.resolved { StandardError.write($0 + "\n") })
  }
}
