import Kernels
import TensorCore

/// Random texts of any scalars: the same as those of `random_texts.py` for the same seed.
enum RandomTexts {
  private static let awkward: [UInt32] = [
    0x00, 0x0B, 0x85, 0xA0, 0xAD, 0x130, 0x149, 0x1E9E, 0x2126, 0x212A, 0x200B, 0x200D, 0xFEFF,
    0xFFFD, 0x344, 0x345, 0x34F, 0x301, 0x316, 0x302E, 0x1D15E, 0x1D165, 0x1D16D, 0x958, 0xAC01,
    0x11938, 0x1734, 0x1885, 0xA9BD, 0x111C9, 0x166D, 0x2B820, 0x2B920, 0xF900, 0x1F468,
    0x1F1E6, 0x3000, 0xE000, 0x378, 0x10FFFF, 0x3A3, 0x3C2, 0x660, 0xB2, 0x2160, 0x1F600,
  ]
  private static let words = [
    "[SEP]", "[CLS]", "[MASK]", "##", "<s>", "<mask>", "</s>", "'ll", "'S", "'re ", "  ", "\n\n",
  ]
  /// The width and the start of each range of scalars.
  private static let ranges: [(UInt64, UInt64)] = [
    (26, 0x61), (26, 0x61), (26, 0x61), (26, 0x41), (128, 0), (128, 0), (1, 0x20), (1, 0x20),
    (0x1C0, 0x90), (0x70, 0x300), (0x110000, 0), (0x10000, 0), (0x7000, 0x3000),
    (0x70, 0x2000),
  ]

  static func texts(seed: UInt64, count: Int) -> [String] {
    var random = SplitMix64(seed: seed)
    return (0..<count).map { _ in text(&random) }
  }

  private static func text(_ random: inout SplitMix64) -> String {
    var out = String.UnicodeScalarView()
    for _ in 0..<random.next() % 40 + 1 {
      let kind = Int(random.next() % UInt64(ranges.count + 3))
      let value = random.next()
      if kind < ranges.count {
        let (width, start) = ranges[kind]
        out.append(Unicode.Scalar(UInt32(value % width + start)) ?? "?")
      } else if kind == ranges.count {
        out.append(Unicode.Scalar(awkward[Int(value % UInt64(awkward.count))]) ?? "?")
      } else if kind == ranges.count + 1 {
        out.append(contentsOf: words[Int(value % UInt64(words.count))].unicodeScalars)
      } else if value % 32 == 0 {
        out.append(contentsOf: repeatElement("a", count: Int(value / 32 % 40 + 80)))
      }
    }
    return String(out)
  }
}
