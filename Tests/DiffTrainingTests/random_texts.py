"""Random texts of any scalars: the same as those of `RandomTexts.swift` for the same seed."""

MASK = (1 << 64) - 1
AWKWARD = [
    0x00, 0x0B, 0x85, 0xA0, 0xAD, 0x130, 0x149, 0x1E9E, 0x2126, 0x212A, 0x200B, 0x200D, 0xFEFF,
    0xFFFD, 0x344, 0x345, 0x34F, 0x301, 0x316, 0x302E, 0x1D15E, 0x1D165, 0x1D16D, 0x958, 0xAC01,
    0x11938, 0x1734, 0x1885, 0xA9BD, 0x111C9, 0x166D, 0x2B820, 0x2B920, 0xF900, 0x1F468, 0x1F1E6,
    0x3000, 0xE000, 0x378, 0x10FFFF, 0x3A3, 0x3C2, 0x660, 0xB2, 0x2160, 0x1F600]
WORDS = ["[SEP]", "[CLS]", "[MASK]", "##", "<s>", "<mask>", "</s>", "'ll", "'S", "'re ", "  ", "\n\n"]
# The width and the start of each range of scalars.
RANGES = [
    (26, 0x61), (26, 0x61), (26, 0x61), (26, 0x41), (128, 0), (128, 0), (1, 0x20), (1, 0x20),
    (0x1C0, 0x90), (0x70, 0x300), (0x110000, 0), (0x10000, 0), (0x7000, 0x3000), (0x70, 0x2000)]


class SplitMix64:
    def __init__(self, seed):
        self.state = seed

    def next(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)


def random_text(random):
    out = []
    for _ in range(random.next() % 40 + 1):
        kind = random.next() % (len(RANGES) + 3)
        value = random.next()
        if kind < len(RANGES):
            width, start = RANGES[kind]
            scalar = value % width + start
            out.append(chr(scalar) if not 0xD800 <= scalar < 0xE000 else "?")
        elif kind == len(RANGES):
            out.append(chr(AWKWARD[value % len(AWKWARD)]))
        elif kind == len(RANGES) + 1:
            out.append(WORDS[value % len(WORDS)])
        elif value % 32 == 0:
            out.append("a" * (value // 32 % 40 + 80))
    return "".join(out)


def random_texts(seed, count):
    random = SplitMix64(seed)
    return [random_text(random) for _ in range(count)]
