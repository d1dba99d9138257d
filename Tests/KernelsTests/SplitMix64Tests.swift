import Kernels
import Kernels
import Testing

@Suite struct SplitMix64Tests {
  @Test(
    "bounded draws are those that the standard library of Swift 6.3 made",
    arguments: [
      (1, [0, 0, 0, 0, 0, 0]),
      (3, [2, 0, 0, 1, 0, 2]),
      (10, [7, 1, 2, 3, 0, 8]),
      (1000, [741, 159, 278, 344, 38, 868]),
      (
        1 << 32,
        [3_184_996_902, 686_809_907, 1_196_582_743, 1_478_287_871, 163_338_330, 3_729_011_194]
      ),
      // For these bounds, nearly half and a third of the numbers are drawn again.
      (
        1 << 63 + 1,
        [
          1_474_913_046_063_446_145, 8_007_990_562_831_494_531, 2_014_432_356_388_812_462,
          7_384_525_663_493_887_954, 3_135_310_438_806_241_002, 5_704_490_196_125_334_487,
        ]
      ),
      (
        .max / 3 * 2,
        [
          1_966_550_728_084_594_860, 3_426_189_165_641_842_571, 4_232_798_706_838_837_175,
          467_688_524_094_642_166, 10_677_320_750_441_992_707, 2_685_909_808_518_416_616,
        ]
      ),
    ] as [(UInt64, [UInt64])])
  func boundedDraws(bound: UInt64, expected: [UInt64]) {
    var random = SplitMix64(seed: 42)
    #expect(expected.map { _ in random.next(below: bound) } == expected)
  }
}
