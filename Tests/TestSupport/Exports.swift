// Random contents are drawn with SplitMix64.
@_exported import Kernels
