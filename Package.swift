// swift-tools-version: 6.2
import PackageDescription

let swift: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .strictMemorySafety(),
  .enableExperimentalFeature("Lifetimes"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .treatAllWarnings(as: .error),
]
let c: [CSetting] = [.treatAllWarnings(as: .error)]

let algorithms = Target.Dependency.product(name: "Algorithms", package: "swift-algorithms")
let heap = Target.Dependency.product(name: "HeapModule", package: "swift-collections")
let argumentParser = Target.Dependency.product(
  name: "ArgumentParser", package: "swift-argument-parser")

let package = Package(
  name: "diffkit",
  platforms: [.macOS(.v15)],
  products: [
    .library(name: "TensorCore", targets: ["TensorCore"]),
    .library(name: "DiffFormat", targets: ["DiffFormat"]),
    .library(name: "DiffOperations", targets: ["DiffOperations"]),
    .library(name: "DiffStore", targets: ["DiffStore"]),
    .library(name: "DiffTraining", targets: ["DiffTraining"]),
    .library(name: "HDF5Access", targets: ["HDF5Access"]),
    .executable(name: "diffkit", targets: ["diffkit"]),
    .executable(name: "diffkit-hdf5", targets: ["diffkit-hdf5"]),
    // libDiffKit.so: with the name of the executable it would be ignored.
    .library(name: "DiffKit", type: .dynamic, targets: ["CDiffKit"]),
  ],
  traits: [
    .trait(name: "Training", description: "Finetuning, which needs oneDNN."),
    .trait(name: "Network", description: "Diffs on servers, which need libcurl."),
    .trait(name: "Distributed", description: "Training on many machines, which needs Open MPI."),
    .default(enabledTraits: ["Training", "Network"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-algorithms", from: "1.2.1"),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
  ],
  targets: [
    .systemLibrary(
      name: "CZlib", pkgConfig: "zlib",
      providers: [.apt(["zlib1g-dev"]), .brew(["zlib"])]),
    .systemLibrary(
      name: "CZstd", pkgConfig: "libzstd",
      providers: [.apt(["libzstd-dev"]), .brew(["zstd"])]),
    .systemLibrary(
      name: "CXXHash", pkgConfig: "libxxhash",
      providers: [.apt(["libxxhash-dev"]), .brew(["xxhash"])]),
    .systemLibrary(
      name: "CHDF5", pkgConfig: "hdf5",
      providers: [.apt(["libhdf5-dev"]), .brew(["hdf5"])]),
    .systemLibrary(
      name: "CCurl", pkgConfig: "libcurl",
      providers: [.apt(["libcurl4-openssl-dev"]), .brew(["curl"])]),
    .systemLibrary(
      name: "CYAML", pkgConfig: "yaml-0.1",
      providers: [.apt(["libyaml-dev"]), .brew(["libyaml"])]),
    .systemLibrary(name: "COneDNN", providers: [.apt(["libdnnl-dev"]), .brew(["onednn"])]),
    .systemLibrary(
      name: "CMPI", pkgConfig: "ompi-c",
      providers: [.apt(["libopenmpi-dev"]), .brew(["open-mpi"])]),
    .target(name: "CLinux", cSettings: c),
    .target(name: "CKernels", cSettings: c),
    .target(name: "Platform", swiftSettings: swift),
    .target(name: "Bytes", dependencies: ["Platform"], swiftSettings: swift),
    .target(
      name: "TensorCore", dependencies: ["Bytes", "Platform", "CXXHash"], swiftSettings: swift),
    .target(
      name: "SystemSupport", dependencies: ["TensorCore", "Platform", "CLinux"],
      swiftSettings: swift),
    .target(name: "StrictJSON", dependencies: ["TensorCore"], swiftSettings: swift),
    .target(
      name: "Compression", dependencies: ["TensorCore", "CZlib", "CZstd"], swiftSettings: swift),
    .target(
      name: "Kernels", dependencies: ["TensorCore", "Platform", "CKernels"], swiftSettings: swift),
    .target(
      name: "DiffFormat",
      dependencies: [
        "TensorCore", "Kernels", "SystemSupport", "Compression", "Platform", algorithms,
      ],
      swiftSettings: swift),
    .target(
      name: "Checkpoints",
      dependencies: [
        "TensorCore", "Kernels", "SystemSupport", "StrictJSON", "Compression", "Platform",
        algorithms,
      ],
      swiftSettings: swift),
    // libhdf5 has a module of its own, used by the helper and by programs that import it to run
    // the library in their own process: every other program links no libhdf5, and needs none to
    // read diffs and safetensors.
    .target(
      name: "HDF5Access",
      dependencies: ["Checkpoints", "TensorCore", "SystemSupport", "Platform", "CHDF5"],
      swiftSettings: swift),
    .executableTarget(name: "diffkit-hdf5", dependencies: ["HDF5Access"], swiftSettings: swift),
    .target(
      name: "DiffOperations",
      dependencies: [
        "DiffFormat", "Checkpoints", "TensorCore", "Kernels", "SystemSupport", "StrictJSON",
        "Compression", "Platform", "CKernels", algorithms,
      ], swiftSettings: swift),
    .target(
      name: "DiffStore",
      dependencies: [
        "DiffOperations", "DiffFormat", "Checkpoints", "TensorCore", "Kernels", "SystemSupport",
        "StrictJSON", "Platform",
      ], swiftSettings: swift),
    .target(
      name: "DiffTraining",
      dependencies: [
        "DiffOperations", "DiffFormat", "Checkpoints", "TensorCore", "Kernels", "SystemSupport",
        "StrictJSON", "Platform", "CKernels", algorithms, heap,
        .target(name: "COneDNN", condition: .when(traits: ["Training"])),
        .target(name: "CMPI", condition: .when(traits: ["Distributed"])),
      ], swiftSettings: swift),
    // The one module that speaks to servers: what only reads files needs no libcurl.
    .target(
      name: "RemoteFiles",
      dependencies: [
        "DiffFormat", "TensorCore", "Kernels", "SystemSupport", "StrictJSON", "Platform",
        algorithms,
        .target(name: "CCurl", condition: .when(traits: ["Network"])),
      ], swiftSettings: swift),
    .target(
      name: "MergeRecipes",
      dependencies: [
        "DiffOperations", "DiffFormat", "Checkpoints", "SystemSupport", "TensorCore", "CYAML",
      ], swiftSettings: swift),
    .target(
      name: "DiffCommands",
      dependencies: [
        "MergeRecipes", "RemoteFiles", "DiffOperations", "DiffStore", "DiffTraining", "DiffFormat",
        "Checkpoints", "TensorCore", "Kernels", "SystemSupport", "StrictJSON", "Platform",
        argumentParser,
      ], swiftSettings: swift),
    .systemLibrary(name: "CDiffKitHeader"),
    .target(
      name: "CDiffKit",
      dependencies: [
        "DiffStore", "DiffOperations", "DiffFormat", "Checkpoints", "TensorCore", "SystemSupport",
        "Platform", "Kernels", "CDiffKitHeader",
      ], swiftSettings: swift),
    .executableTarget(name: "diffkit", dependencies: ["DiffCommands"], swiftSettings: swift),
    .executableTarget(
      name: "DiffBenchmarks",
      dependencies: [
        "DiffCommands", "DiffTraining", "DiffStore", "DiffOperations", "DiffFormat", "Checkpoints",
        "Compression", "Kernels", "SystemSupport", "StrictJSON", "TensorCore", "TestSupport",
        "Platform", "diffkit-hdf5",
        algorithms,
      ],
      exclude: ["hdf5_peer.py", "mergekit_peer.py", "training_peer.py"], swiftSettings: swift),
    .target(
      name: "TestSupport",
      dependencies: [
        "DiffFormat", "Checkpoints", "Kernels", "SystemSupport", "TensorCore", "Platform",
      ],
      path: "Tests/TestSupport", swiftSettings: swift),
    .executableTarget(
      name: "ReadDiff", dependencies: ["DiffFormat"], path: "samples/ReadDiff",
      swiftSettings: swift),
    .executableTarget(
      name: "FollowStore", dependencies: ["DiffStore"], path: "samples/FollowStore",
      swiftSettings: swift),
    .executableTarget(
      name: "DigitsMLP",
      dependencies: ["DiffTraining"],
      path: "samples/DigitsMLP",
      exclude: ["digits.csv"], swiftSettings: swift),
    .executableTarget(
      name: "DiffFuzz",
      dependencies: [
        "DiffOperations", "DiffFormat", "Checkpoints", "SystemSupport", "TensorCore", "Platform",
        "TestSupport",
      ],
      path: "Tests/DiffFuzz",
      swiftSettings: swift),
    .target(name: "CForkTrial", path: "Tests/CForkTrial", cSettings: c),
    .executableTarget(
      name: "ForkTrial",
      dependencies: [
        "CForkTrial", "DiffOperations", "DiffFormat", "Checkpoints", "TensorCore", "SystemSupport",
        "Platform", "TestSupport",
      ],
      path: "Tests/ForkTrial", swiftSettings: swift),
    .testTarget(name: "BytesTests", dependencies: ["Bytes"], swiftSettings: swift),
    .testTarget(
      name: "TensorCoreTests", dependencies: ["TensorCore", "TestSupport"], swiftSettings: swift),
    .testTarget(
      name: "SystemSupportTests",
      dependencies: ["SystemSupport", "TensorCore", "Platform", "TestSupport"],
      swiftSettings: swift),
    .testTarget(
      name: "StrictJSONTests", dependencies: ["StrictJSON", "TensorCore", "TestSupport"],
      swiftSettings: swift),
    .testTarget(
      name: "KernelsTests", dependencies: ["Kernels", "TensorCore", "TestSupport"],
      swiftSettings: swift),
    .testTarget(
      name: "DiffFormatTests",
      dependencies: [
        "DiffFormat", "TensorCore", "SystemSupport", "Kernels", "Compression", "Platform",
        "TestSupport",
      ], swiftSettings: swift),
    .testTarget(
      name: "CheckpointsTests",
      dependencies: [
        "Checkpoints", "HDF5Access", "TensorCore", "SystemSupport", "StrictJSON", "Platform",
        "TestSupport", "diffkit-hdf5",
      ],
      exclude: [
        "Resources", "base.py", "chunks.py", "contents.py", "every_kind.py", "every_type.py",
        "indexes.py", "keras_files.py", "keras_models.py", "large_chunks.py", "mutations.py",
        "oracle.py",
      ], swiftSettings: swift),
    .testTarget(
      name: "DiffOperationsTests",
      dependencies: [
        "DiffOperations", "DiffFormat", "Checkpoints", "TensorCore", "SystemSupport", "Kernels",
        "StrictJSON", "Compression", "Platform", "TestSupport", "diffkit-hdf5",
      ],
      exclude: [
        "Resources", "delta_oracle.py", "exchange_oracle.py", "merge_oracle.py", "objects.py",
      ],
      swiftSettings: swift),
    .testTarget(
      name: "MergeRecipesTests",
      dependencies: [
        "MergeRecipes", "DiffOperations", "DiffFormat", "Checkpoints", "Kernels", "TensorCore",
        "SystemSupport", "TestSupport",
      ],
      exclude: ["Resources", "recipe_oracle.py"], swiftSettings: swift),
    .testTarget(
      name: "DiffStoreTests",
      dependencies: [
        "DiffStore", "DiffOperations", "DiffFormat", "Checkpoints", "Kernels", "TensorCore",
        "SystemSupport", "StrictJSON", "Platform", "TestSupport", "diffkit-hdf5",
      ], swiftSettings: swift),
    .testTarget(
      name: "DiffTrainingTests",
      dependencies: [
        "DiffTraining", "DiffOperations", "DiffFormat", "Checkpoints", "TensorCore",
        "SystemSupport", "Kernels", "StrictJSON", "Platform", "TestSupport", "DigitsMLP",
      ],
      exclude: [
        "Resources", "adamw_oracle.py", "bpe_oracle.py", "encoders.py", "gates.py",
        "metrics_oracle.py", "minilm.py", "random_texts.py", "tables.py", "ten_steps.py",
        "tokenizer_json.py",
        "wordpiece_oracle.py",
      ],
      swiftSettings: swift),
    .testTarget(
      name: "RemoteFilesTests",
      dependencies: [
        "RemoteFiles", "DiffFormat", "TensorCore", "Kernels", "SystemSupport", "Platform",
        "TestSupport",
      ],
      exclude: ["nginx_server.py", "s3_server.py", "servers.py"], swiftSettings: swift),
    .testTarget(
      name: "CommandTests",
      dependencies: [
        "DiffStore", "DiffOperations", "DiffFormat", "Checkpoints", "TensorCore", "SystemSupport",
        "StrictJSON", "Compression", "Kernels", "Platform", "RemoteFiles", "TestSupport",
        "ForkTrial", "FollowStore",
        "diffkit",
        "diffkit-hdf5",
        algorithms,
      ],
      exclude: [
        "Golden", "expect.h", "fault.c", "follower.c", "fork.c", "library.c", "library_fuzz.c",
        "library_memory.c", "openmp.c", "two_hosts.sh", "written.json", "written.py",
      ], swiftSettings: swift),
  ]
)
