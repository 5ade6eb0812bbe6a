// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    // An image is loaded before every run: size counts more than the last per cent of speed.
    .unsafeFlags(["-Osize"], .when(configuration: .release)),
]

/// What makes a static binary more than a megabyte smaller: relative relocations, which need glibc 2.36 (Debian 12's), no symbols
/// for libraries to find, equal functions and string ends once. `relro` and `now` make everything read-only that the loader fills in.
let linking: [LinkerSetting] = [
    .unsafeFlags(
        [
            "-use-ld=lld", "-Xlinker", "--icf=safe", "-Xlinker", "-z", "-Xlinker", "pack-relative-relocs",
            "-Xlinker", "--no-export-dynamic", "-Xlinker", "-O2",
            "-Xlinker", "-z", "-Xlinker", "relro", "-Xlinker", "-z", "-Xlinker", "now",
        ],
        .when(configuration: .release))
]

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let grdb = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")

/// A library, or the tests of one: `Sources/<name>` and `Tests/<name>`.
func library(_ name: String, _ dependencies: Target.Dependency..., resources: [Resource]? = nil) -> Target {
    .target(name: name, dependencies: dependencies, resources: resources, swiftSettings: settings)
}

func tests(_ name: String, excluding data: [String] = [], _ dependencies: Target.Dependency...) -> Target {
    .testTarget(
        name: name, dependencies: ["TestSupport"] + dependencies, exclude: data, swiftSettings: settings)
}

/// A job, named after its executable: `Sources/Jobs/<name>/<name>.swift`. It always has WarehouseKit.
func job(_ name: String, _ kits: Target.Dependency...) -> Target {
    .executableTarget(
        name: name, dependencies: ["JobRuntime", "Warehouse", "WarehouseKit", argumentParser] + kits,
        path: "Sources/Jobs/\(name)", swiftSettings: settings, linkerSettings: linking)
}

let jobs = [
    job("BootstrapJob", "SchemaKit"),
    job("BootstrapSyncJob", "SchemaKit"),
    job("OrgSyncAllJob", "SchemaKit"),
    job("QuotaResetDailyJob", "QuotaKit"),
    job("QuotaResetMonthlyJob", "QuotaKit"),
    job("StaleCleanupJob", "QuotaKit"),
    job("QuotaCleanupJob", "QuotaKit"),
    job("BillingSyncRetryJob", "BillingKit"),
    job("BillingSyncReconcileJob", "BillingKit"),
]

/// The dependencies of a program that starts the built jobs.
let builtJobs = jobs.map { Target.Dependency.target(name: $0.name) }

let package = Package(
    name: "scheduler-jobs",
    traits: [
        .default(enabledTraits: ["EmbeddedWarehouse"]),
        .trait(name: "EmbeddedWarehouse", description: "WAREHOUSE_URL=sqlite:PATH, for a laptop, a demo and tests."),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
        .package(url: "https://github.com/groue/GRDB.swift", exact: "7.10.0"),
        .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
    ],
    targets: jobs + [
        job("VerifyJob", "VerifyKit"),
        .systemLibrary(name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .systemLibrary(name: "COpenSSL", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "CMalloc"),
        library("HTTPTransport", "CCurl", "CZlib"),
        library("JobRuntime", "CMalloc", "HTTPTransport", argumentParser, logging),
        library("GoogleCredentials", "JobRuntime", "HTTPTransport", "COpenSSL"),
        library("Warehouse", "JobRuntime", "HTTPTransport"),
        library("BigQueryWarehouse", "Warehouse", "GoogleCredentials", "JobRuntime", "HTTPTransport", logging),
        library("EmbeddedWarehouse", "Warehouse", "JobRuntime", "HTTPTransport", grdb),
        library(
            "WarehouseKit", "Warehouse", "BigQueryWarehouse", "GoogleCredentials", "JobRuntime", "HTTPTransport",
            logging,
            .target(name: "EmbeddedWarehouse", condition: .when(traits: ["EmbeddedWarehouse"]))),
        library(
            "SchemaKit", "WarehouseKit", "Warehouse", "JobRuntime", "HTTPTransport", "COpenSSL", argumentParser,
            logging,
            resources: [.embedInCode("Catalog/Tables")]),
        library("QuotaKit", "WarehouseKit", "Warehouse", "JobRuntime", argumentParser, logging),
        library("BillingKit", "WarehouseKit", "Warehouse", "JobRuntime", "HTTPTransport", argumentParser, logging),
        library("VerifyKit", "SchemaKit", "WarehouseKit", "Warehouse", "JobRuntime", "COpenSSL"),
        library("DeploymentKit", yams),
        library(
            "ModelWarehouse", "EmbeddedWarehouse", "BillingKit", "SchemaKit", "WarehouseKit", "Warehouse", "JobRuntime",
            "HTTPTransport", logging),
        .executableTarget(
            name: "explore", dependencies: ["ModelWarehouse", argumentParser], path: "Sources/Tools/Explore",
            swiftSettings: settings),
        .executableTarget(
            name: "demo-data", dependencies: ["JobRuntime", "Warehouse", "WarehouseKit", "SchemaKit", argumentParser],
            path: "Sources/Tools/DemoData", swiftSettings: settings),
        .executableTarget(
            name: "generate-jobs", dependencies: ["DeploymentKit", argumentParser] + builtJobs + ["VerifyJob"],
            path: "Sources/Tools/GenerateJobs", swiftSettings: settings),
        .plugin(name: "JobSources", capability: .buildTool(), path: "Sources/Tools/JobSources"),
        .target(
            name: "Simulation",
            dependencies: [
                "HTTPTransport", "JobRuntime", "Warehouse", "WarehouseKit", "EmbeddedWarehouse", "SchemaKit",
                "QuotaKit", "BillingKit", "VerifyKit", argumentParser,
            ],
            swiftSettings: settings, plugins: ["JobSources"]),
        .executableTarget(
            name: "simulate", dependencies: ["Simulation", "JobRuntime", argumentParser],
            path: "Sources/Tools/Simulate",
            swiftSettings: settings),
        .target(
            name: "TestSupport",
            dependencies: [
                "HTTPTransport", "JobRuntime", "Warehouse", "BigQueryWarehouse", "EmbeddedWarehouse",
                "GoogleCredentials",
                "WarehouseKit", "SchemaKit", logging,
            ],
            path: "Tests/TestSupport", exclude: ["README.md"], swiftSettings: settings),
        tests("HTTPTransportTests", "HTTPTransport"),
        tests("JobRuntimeTests", "JobRuntime", "HTTPTransport", argumentParser, logging),
        tests("GoogleCredentialsTests", "GoogleCredentials", "JobRuntime", "HTTPTransport", "COpenSSL"),
        tests("WarehouseTests", "Warehouse", "BigQueryWarehouse", "EmbeddedWarehouse", "JobRuntime"),
        tests(
            "BigQueryWarehouseTests", "BigQueryWarehouse", "Warehouse", "GoogleCredentials", "JobRuntime",
            "HTTPTransport", logging),
        tests("EmbeddedWarehouseTests", "EmbeddedWarehouse", "Warehouse", "JobRuntime"),
        tests(
            "WarehouseKitTests", "WarehouseKit", "Warehouse", "EmbeddedWarehouse", "JobRuntime", "HTTPTransport",
            logging),
        tests(
            "SchemaKitTests", excluding: ["Plans", "TableFiles", "refused-table-files.json"], "SchemaKit",
            "WarehouseKit",
            "Warehouse", "EmbeddedWarehouse", "BigQueryWarehouse",
            "JobRuntime", argumentParser, logging),
        tests(
            "QuotaKitTests", "QuotaKit", "SchemaKit", "WarehouseKit", "Warehouse", "BigQueryWarehouse",
            "EmbeddedWarehouse", "JobRuntime", logging),
        .testTarget(
            name: "BillingKitTests",
            dependencies: [
                "TestSupport", "BillingKit", "SchemaKit", "WarehouseKit", "Warehouse", "EmbeddedWarehouse",
                "JobRuntime",
                "HTTPTransport", "BillingSyncRetryJob", "BillingSyncReconcileJob", logging,
            ],
            exclude: ["Worlds"], swiftSettings: settings),
        .testTarget(
            name: "VerifyKitTests",
            dependencies: [
                "TestSupport", "VerifyKit", "QuotaKit", "BillingKit", "SchemaKit", "WarehouseKit", "Warehouse",
                "EmbeddedWarehouse", "JobRuntime", "HTTPTransport", logging,
            ], swiftSettings: settings),
        .testTarget(
            name: "DeploymentKitTests", dependencies: ["DeploymentKit", "WarehouseKit", "generate-jobs", yams],
            exclude: ["Descriptions", "Golden", "jobs.txt"], swiftSettings: settings),
        .testTarget(
            name: "EndToEndTests",
            dependencies: [
                "TestSupport", "JobRuntime", "Warehouse", "BigQueryWarehouse", "EmbeddedWarehouse", "WarehouseKit",
                "SchemaKit", "QuotaKit", "HTTPTransport", logging, grdb, "demo-data",
            ] + builtJobs + ["VerifyJob"],
            swiftSettings: settings),
    ]
)

/// The fuzz targets: a program with libFuzzer for `scripts/fuzz.sh`, which sets FUZZ, and a test over the committed inputs otherwise.
/// Only that script's build has the coverage that libFuzzer needs.
let readers: [Target.Dependency] = [
    "JobRuntime", "HTTPTransport", "GoogleCredentials", "Warehouse", "BigQueryWarehouse", "WarehouseKit", "SchemaKit",
    "BillingKit", "DeploymentKit",
]
package.targets.append(
    Context.environment["FUZZ"] == nil
        ? .testTarget(
            name: "FuzzTests", dependencies: readers, exclude: ["Program", "Corpus"], swiftSettings: settings)
        : .executableTarget(
            name: "fuzz", dependencies: readers, path: "Tests/FuzzTests", exclude: ["Corpus", "CorpusTests.swift"],
            sources: ["Targets", "Program"], swiftSettings: settings + [.unsafeFlags(["-parse-as-library"])]))

// Tests of the explorer and of the simulation, which CI leaves out: PROOFS=1 swift test --filter "ModelWarehouseTests|SimulationTests"
if Context.environment["PROOFS"] != nil {
    package.targets += [
        tests("ModelWarehouseTests", "ModelWarehouse", "Warehouse", "JobRuntime"),
        tests("SimulationTests", "Simulation", "simulate"),
    ]
}
