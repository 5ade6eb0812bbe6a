package import JobRuntime
package import Warehouse

/// Which warehouse the job works on. It must be said: a missing choice is an error, and so are two.
package struct WarehouseSettings: JobSettings {
    package enum Choice: Sendable, Hashable {
        case bigQuery(ProjectID)
        case embedded(path: String)
    }

    /// `nil` only where the environment has a problem, and then the job does not start.
    package let choice: Choice?
    package let location: String
    /// BigQuery's emulator, as the official clients understand `BIGQUERY_EMULATOR_HOST`: a base URL, no credentials.
    package let emulatorURL: String?
    package let maximumBytesBilled: Int64
    /// The variables in which Google's Application Default Credentials are looked for.
    package let credentialVariables: [String: String]
    /// `ENVIRONMENT`, for the run history; empty where it is not set. Jobs that depend on it check it.
    package let environmentName: String

    package static let environmentHelp: [(name: String, text: String)] = [
        ("GCP_PROJECT_ID", "The Google Cloud project whose BigQuery is the warehouse."),
        ("WAREHOUSE_URL", "Instead: bigquery://PROJECT, or sqlite:PATH for the embedded warehouse."),
        ("BIGQUERY_LOCATION", "Where datasets are, such as US, EU or europe-west1. Default: US."),
        ("BIGQUERY_EMULATOR_HOST", "Base URL of an emulator, such as http://127.0.0.1:9050; no credentials are sent."),
        ("MAX_BYTES_BILLED", "A query that would bill more bytes fails instead. Default: 10737418240 (10 GiB)."),
        ("GOOGLE_APPLICATION_CREDENTIALS", "A credential file; otherwise gcloud's own, or the metadata server."),
    ]

    package init(reading environment: inout EnvironmentReader) {
        choice = Self.choice(&environment)
        location = environment.string(
            "BIGQUERY_LOCATION", default: "US", expected: "a location such as US or europe-west1"
        ) {
            $0.utf8.allSatisfy { $0.isWordCharacter || $0 == UInt8(ascii: "-") } ? nil : "is no location"
        }
        emulatorURL = environment.optionalString(
            "BIGQUERY_EMULATOR_HOST", expected: "a base URL such as http://127.0.0.1:9050"
        ) { Self.isBaseURL(Self.withScheme($0)) ? nil : "is no base URL" }.map(Self.withScheme)
        maximumBytesBilled = Int64(
            environment.integer("MAX_BYTES_BILLED", default: 10_737_418_240, in: 10_485_760...Int.max))
        credentialVariables = environment.variables
        environmentName = environment.variables["ENVIRONMENT"] ?? ""
        guard case .bigQuery = choice, emulatorURL == nil else { return }
        // Not shown: some set it to the key itself.
        if let file = environment.variables["GOOGLE_APPLICATION_CREDENTIALS"], !file.isEmpty, problemOfFile(file) != nil
        {
            environment.note(
                "GOOGLE_APPLICATION_CREDENTIALS", problem: "names no file that can be read",
                expected: "the path of a credential file, or unset it for gcloud's own or the metadata server")
        }
    }

    private static func choice(_ environment: inout EnvironmentReader) -> Choice? {
        let project = environment.optionalString("GCP_PROJECT_ID", expected: projectRule) {
            ProjectID($0) == nil ? "is no project id" : nil
        }
        let url = environment.optionalString("WAREHOUSE_URL", expected: urlRule) {
            read(url: $0) == nil ? "is no warehouse" : nil
        }
        guard !environment.hasProblem(with: ["GCP_PROJECT_ID", "WAREHOUSE_URL"]) else { return nil }
        switch (project.flatMap { ProjectID($0) }.map { Choice.bigQuery($0) }, url.flatMap(read)) {
        case (nil, nil):
            environment.note(
                problem:
                    "no warehouse is chosen: set GCP_PROJECT_ID, or WAREHOUSE_URL to bigquery://PROJECT or sqlite:PATH")
            return nil
        case (let project?, let url?) where project != url:
            environment.note(
                problem: "GCP_PROJECT_ID and WAREHOUSE_URL name two warehouses: unset one of them")
            return nil
        case (_, .embedded?) where !Self.hasEmbeddedWarehouse:
            environment.note(
                problem:
                    "WAREHOUSE_URL=sqlite: needs a binary with the embedded warehouse: build without --disable-default-traits"
            )
            return nil
        case (let project, let url): return url ?? project
        }
    }

    private static let projectRule = "6 to 30 lower-case letters, digits and hyphens, such as cloudact-testing-1"
    private static let urlRule = "bigquery://PROJECT or sqlite:PATH"

    private static func read(url: String) -> Choice? {
        if url.hasPrefix("bigquery://") { return ProjectID(String(url.dropFirst(11))).map { .bigQuery($0) } }
        guard url.hasPrefix("sqlite:"), url.count > 7 else { return nil }
        return .embedded(path: String(url.dropFirst(7)))
    }

    private static func withScheme(_ host: String) -> String {
        let url = host.contains("://") ? host : "http://\(host)"
        return url.hasSuffix("/") ? String(url.dropLast()) : url
    }

    private static func isBaseURL(_ url: String) -> Bool {
        (url.hasPrefix("http://") || url.hasPrefix("https://")) && url.split(separator: "/").count >= 2
            && url.unicodeScalars.allSatisfy {
                $0.value > 0x20 && $0.value < 0x7F && !"?#@\\\"<>".unicodeScalars.contains($0)
            }
    }

    private static var hasEmbeddedWarehouse: Bool {
        #if EmbeddedWarehouse
            true
        #else
            false
        #endif
    }
}
