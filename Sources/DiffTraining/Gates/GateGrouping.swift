import TensorCore

/// The sets of parameters that share a gate beside their own, so that whole groups can close
/// (structured diff pruning: Guo, Rush, Kim 2021).
public enum GateGrouping: Sendable, Hashable {
  /// No parameters.
  case none
  /// The parameters of one named tensor: the paper's choice.
  case tensor
  /// The parameters of one row of a matrix.
  case row
  /// The parameters of one column of a matrix.
  case column
  /// The parameters of one attention head, `size` wide: rows of the projections to queries, keys
  /// and values, columns of the one after attention; other tensors are a group each.
  case head(size: Int)

  /// Returns the shape of a group in a tensor of rows of `shape.rowLength`; nil without groups.
  func box(of parameter: ParameterLayout.Parameter) -> (rows: Int, columns: Int)? {
    let columns = Int(parameter.shape.rowLength)
    let count = parameter.range.count
    guard count > 0 else { return nil }
    let rows = count / columns
    let isMatrix = rows > 1
    switch self {
    case .none: return nil
    case .tensor: return (rows, columns)
    case .row: return isMatrix ? (1, columns) : (rows, columns)
    case .column: return isMatrix ? (rows, 1) : (rows, columns)
    case .head(let size):
      guard size > 0, let part = AttentionPart(parameter.name) else { return (rows, columns) }
      switch part {
      case .projection where isMatrix: return rows % size == 0 ? (size, columns) : (rows, columns)
      default: return columns % size == 0 ? (rows, size) : (rows, columns)
      }
    }
  }
}

extension GateGrouping: Codable, LosslessStringConvertible {
  /// `none`, `tensor`, `row`, `column`, or `head:SIZE`.
  public var description: String {
    switch self {
    case .none: "none"
    case .tensor: "tensor"
    case .row: "row"
    case .column: "column"
    case .head(let size): "head:\(size)"
    }
  }

  /// Creates the grouping of a description, or nil.
  public init?(_ description: String) {
    switch description {
    case "none": self = .none
    case "tensor": self = .tensor
    case "row": self = .row
    case "column": self = .column
    default:
      guard description.hasPrefix("head:"), let size = Int(description.dropFirst(5)), size > 0
      else { return nil }
      self = .head(size: size)
    }
  }

  /// Writes the description.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }

  /// Reads a description.
  public init(from decoder: any Swift.Decoder) throws {
    let container = try decoder.singleValueContainer()
    let text = try container.decode(String.self)
    guard let grouping = GateGrouping(text) else {
      throw DecodingError.dataCorruptedError(
        in: container, debugDescription: "'\(text)' is not a grouping of gates")
    }
    self = grouping
  }
}

/// The role of a tensor of a transformer in attention heads.
private enum AttentionPart {
  /// A projection to queries, keys or values: each row gives an output.
  case projection
  /// The projection of the heads' results: each column takes an input.
  case output

  /// Determines the role by the names that the BERT family uses.
  init?(_ name: TensorName) {
    let parts = name.parts.suffix(3)
    if parts.contains(where: { Self.projections.contains($0) }) {
      self = .projection
    } else if name.description.hasSuffix("weight"),
      parts.contains("out_lin")
        || name.description.contains("attention") && parts.starts(with: ["output", "dense"])
    {
      self = .output
    } else {
      return nil
    }
  }

  private static let projections: Set = ["query", "key", "value", "q_lin", "k_lin", "v_lin"]
}

/// The way in which the penalty counts a parameter in a group.
public enum GatePenalty: String, Sendable, Hashable, CaseIterable, Codable {
  /// By the probability that its gate and its group's are open: the paper's formula, Σ p · p_group.
  case product
  /// By the probability of its gate, and each group by that of its own: as in the code that the
  /// authors published, Σ p + Σ p_group.
  case additive
}

/// The derivative of z by which a gate's location is trained.
public enum GateSlope: String, Sendable, Hashable, CaseIterable, Codable {
  /// The slope of z as drawn, as in the paper. It is zero where z was clipped to 0 or 1, as are
  /// nearly all at the start and at the end, so that a gate seldom has a gradient.
  case drawn
  /// The slope of the expectation of z. The loss hardly depends on the draw of a single gate, so
  /// the mean of the gradient stays, but every step gives it, without the noise of its own draw.
  case expected
}
