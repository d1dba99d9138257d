// swift-tools-version: 6.2
import PackageDescription

let swift: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .strictMemorySafety(),
  .enableExperimentalFeature("Lifetimes"),
  .treatAllWarnings(as: .error),
]
let c: [CSetting] = [.treatAllWarnings(as: .error)]

let argumentParser = Target.Dependency.product(
  name: "ArgumentParser", package: "swift-argument-parser")

let package = Package(
  name: "diffkit",
  platforms: [.macOS(.v15)],
  products: [
    .library(name: "DiffFormat", targets: ["DiffFormat", "TensorCore"]),
    .library(name: "DiffOperations", targets: ["DiffOperations", "Checkpoints"]),
    .library(name: "DiffTraining", targets: ["DiffTraining"]),
    .library(name: "HDF5Access", targets: ["HDF5Access"]),
    .executable(name: "diffkit", targets: ["diffkit"]),
    .executable(name: "diffkit-hdf5", targets: ["diffkit-hdf5"]),
    // libDiffKit.so: with the name of the executable it would be ignored.
    .library(name: "DiffKit", type: .dynamic, targets: ["CDiffKit"]),
  ],
  traits: [
    .trait(name: "Training", description: "Finetuning, which needs oneDNN."),
    .default(enabledTraits: ["Training"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0")
  ],
  targets: [
    .systemLibrary(
      name: "CZlib", pkgConfig: "zlib",
      providers: [.apt(["zlib1g-dev"]), .brew(["zlib"])]),
    .systemLibrary(
      name: "CXXHash", pkgConfig: "libxxhash",
      providers: [.apt(["libxxhash-dev"]), .brew(["xxhash"])]),
    .systemLibrary(
      name: "CHDF5", pkgConfig: "hdf5",
      providers: [.apt(["libhdf5-dev"]), .brew(["hdf5"])]),
    .systemLibrary(name: "COneDNN", providers: [.apt(["libdnnl-dev"]), .brew(["onednn"])]),
    .systemLibrary(name: "CLinux"),
    .target(name: "CKernels", cSettings: c),
    .target(
      name: "TensorCore", dependencies: ["CKernels", "CXXHash", "CLinux"], swiftSettings: swift),
    .target(name: "DiffFormat", dependencies: ["TensorCore", "CZlib"], swiftSettings: swift),
    .target(
      name: "Checkpoints", dependencies: ["TensorCore", "CZlib"], swiftSettings: swift),
    // libhdf5 has a module of its own, used by the helper and by whoever imports it to run the
    // library in his process: every other program links no libhdf5, and needs none to read diffs
    // and safetensors.
    .target(name: "HDF5Access", dependencies: ["Checkpoints", "CHDF5"], swiftSettings: swift),
    .executableTarget(name: "diffkit-hdf5", dependencies: ["HDF5Access"], swiftSettings: swift),
    .target(
      name: "DiffOperations", dependencies: ["DiffFormat", "Checkpoints"], swiftSettings: swift),
    .target(
      name: "DiffTraining",
      dependencies: [
        "DiffOperations", .target(name: "COneDNN", condition: .when(traits: ["Training"])),
      ], swiftSettings: swift),
    .target(
      name: "DiffCommands", dependencies: ["DiffOperations", "DiffTraining", argumentParser],
      swiftSettings: swift),
    .systemLibrary(name: "CDiffKitHeader"),
    .target(
      name: "CDiffKit", dependencies: ["DiffOperations", "CDiffKitHeader"], swiftSettings: swift),
    .executableTarget(name: "diffkit", dependencies: ["DiffCommands"], swiftSettings: swift),
    .executableTarget(
      name: "DiffBenchmarks", dependencies: ["DiffCommands", "DiffTraining", "diffkit-hdf5"],
      exclude: ["hdf5_peer.py", "training_peer.py"], swiftSettings: swift),
    .target(
      name: "TestSupport", dependencies: ["DiffFormat", "Checkpoints"],
      path: "Tests/TestSupport", swiftSettings: swift),
    .executableTarget(
      name: "ReadDiff", dependencies: ["DiffFormat"], path: "samples/ReadDiff",
      swiftSettings: swift),
    .executableTarget(
      name: "DigitsMLP",
      dependencies: ["Checkpoints", "DiffFormat", "DiffOperations", "DiffTraining"],
      path: "samples/DigitsMLP",
      exclude: ["digits.csv"], swiftSettings: swift),
    .executableTarget(
      name: "DiffFuzz", dependencies: ["DiffOperations", "TestSupport"], path: "Tests/DiffFuzz",
      swiftSettings: swift),
    .testTarget(
      name: "TensorCoreTests", dependencies: ["TensorCore", "TestSupport"], swiftSettings: swift),
    .testTarget(
      name: "DiffFormatTests", dependencies: ["DiffFormat", "TestSupport"], swiftSettings: swift),
    .testTarget(
      name: "CheckpointsTests",
      dependencies: ["HDF5Access", "TestSupport", "diffkit-hdf5"],
      exclude: [
        "Resources", "base.py", "chunks.py", "every_kind.py", "every_type.py", "oracle.py",
      ], swiftSettings: swift),
    .testTarget(
      name: "DiffOperationsTests",
      dependencies: ["DiffOperations", "TestSupport", "diffkit-hdf5"],
      exclude: ["Resources", "exchange_oracle.py", "merge_oracle.py", "objects.py"],
      swiftSettings: swift),
    .testTarget(
      name: "DiffTrainingTests", dependencies: ["DiffTraining", "TestSupport", "DigitsMLP"],
      exclude: [
        "Resources", "adamw_oracle.py", "bpe_oracle.py", "encoders.py", "gates.py",
        "metrics_oracle.py", "random_texts.py", "ten_steps.py", "wordpiece_oracle.py",
      ],
      swiftSettings: swift),
    .testTarget(
      name: "CommandTests",
      dependencies: ["DiffOperations", "TestSupport", "diffkit", "diffkit-hdf5"],
      exclude: [
        "Golden", "fault.c", "library.c", "library_fuzz.c", "written.json", "written.py",
      ], swiftSettings: swift),
  ]
)
