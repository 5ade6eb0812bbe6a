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
/// for libraries to find, equal functions and string ends once.
let linking: [LinkerSetting] = [
    .unsafeFlags(
        [
            "-use-ld=lld", "-Xlinker", "--icf=safe", "-Xlinker", "-z", "-Xlinker", "pack-relative-relocs",
            "-Xlinker", "--no-export-dynamic", "-Xlinker", "-O2",
        ],
        .when(configuration: .release))
]

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let grdb = Target.Dependency.product(
    name: "GRDB", package: "GRDB.swift", condition: .when(traits: ["EmbeddedWarehouse"]))

/// One executable for each job, named after it.
func job(_ name: String, _ more: Target.Dependency...) -> Target {
    .executableTarget(
        name: name, dependencies: ["JobRuntime", "WarehouseKit"] + more, path: "Sources/Jobs/\(name)",
        swiftSettings: settings,
        linkerSettings: linking)
}

/// A new job is one more line here.
let jobs = [
    job("BootstrapJob"),
    job("BootstrapSyncJob"),
    job("OrgSyncAllJob"),
    job("QuotaResetDailyJob"),
    job("QuotaResetMonthlyJob"),
    job("StaleCleanupJob"),
    job("QuotaCleanupJob"),
    job("BillingSyncRetryJob", "BillingKit"),
    job("BillingSyncReconcileJob", "BillingKit"),
]

/// Other targets run the jobs' executables, which are built before them.
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
        .systemLibrary(name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .systemLibrary(name: "COpenSSL", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .target(name: "HTTPTransport", dependencies: ["CCurl", "CZlib"], swiftSettings: settings),
        .target(
            name: "JobRuntime", dependencies: ["HTTPTransport", argumentParser, logging], swiftSettings: settings),
        .target(
            name: "WarehouseKit",
            dependencies: ["JobRuntime", "HTTPTransport", "COpenSSL", argumentParser, logging, grdb],
            resources: [.embedInCode("Catalog/Tables")], swiftSettings: settings),
        .target(
            name: "BillingKit",
            dependencies: ["JobRuntime", "WarehouseKit", "HTTPTransport", argumentParser, logging],
            swiftSettings: settings),
        .executableTarget(
            name: "demo-data", dependencies: ["JobRuntime", "WarehouseKit", argumentParser],
            path: "Sources/Tools/DemoData",
            swiftSettings: settings),
        .target(
            name: "DeploymentKit", dependencies: [.product(name: "Yams", package: "Yams")], swiftSettings: settings),
        .executableTarget(
            name: "generate-jobs", dependencies: ["DeploymentKit", argumentParser] + builtJobs,
            path: "Sources/Tools/GenerateJobs",
            swiftSettings: settings),
        .target(
            name: "TestSupport", dependencies: ["HTTPTransport", "JobRuntime", "WarehouseKit", logging],
            path: "Tests/TestSupport",
            swiftSettings: settings),
        .testTarget(
            name: "HTTPTransportTests", dependencies: ["HTTPTransport", "TestSupport"], swiftSettings: settings),
        .testTarget(name: "JobRuntimeTests", dependencies: ["JobRuntime", "TestSupport"], swiftSettings: settings),
        .testTarget(
            name: "WarehouseKitTests", dependencies: ["WarehouseKit", "TestSupport", "COpenSSL"],
            swiftSettings: settings),
        .testTarget(
            name: "DeploymentKitTests",
            dependencies: ["DeploymentKit", "generate-jobs", .product(name: "Yams", package: "Yams")],
            exclude: ["Descriptions", "Golden"], swiftSettings: settings),
        .testTarget(
            name: "EndToEndTests",
            dependencies: [
                "TestSupport", "JobRuntime", "WarehouseKit", "HTTPTransport", logging, grdb, "BootstrapJob",
                "BootstrapSyncJob",
                "OrgSyncAllJob", "QuotaResetDailyJob", "QuotaResetMonthlyJob", "StaleCleanupJob", "QuotaCleanupJob",
                "demo-data",
            ],
            swiftSettings: settings),
        .testTarget(
            name: "BillingKitTests",
            dependencies: ["BillingKit", "TestSupport", "BillingSyncRetryJob", "BillingSyncReconcileJob"],
            swiftSettings: settings),
    ]
)
