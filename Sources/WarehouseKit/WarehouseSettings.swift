import HTTPTransport
package import JobRuntime
package import Warehouse

/// The warehouse of the job and its settings. The environment must name exactly one warehouse; there is no default.
///
/// ```swift
/// init(reading environment: inout EnvironmentReader) {
///     warehouse = WarehouseSettings(reading: &environment)
/// }
/// ```
package struct WarehouseSettings: JobSettings {
    package enum Choice: Sendable, Hashable {
        case bigQuery(ProjectID)
        case embedded(path: String)
    }

    /// `nil` only if the environment has a problem. The job does not start then.
    package let choice: Choice?
    package let location: String
    /// The base URL of an emulator, from `BIGQUERY_EMULATOR_HOST` as in the official clients. It gets no credentials.
    package let emulatorURL: String?
    package let maximumBytesBilled: Int64
    /// The variables that name Google's Application Default Credentials.
    package let credentialVariables: [String: String]
    /// `nil` if the variable is optional and not set.
    package let environment: DeploymentEnvironment?

    package init(reading environment: inout EnvironmentReader) {
        self.init(reading: &environment, mostTables: 1)
    }

    /// BigQuery bills at least so much for each table and view that a statement refers to (fact BQ-08):
    /// https://cloud.google.com/bigquery/docs/best-practices-costs
    private static let leastBytesOfTable = 10_485_760

    /// - Parameters:
    ///   - mostTables: The number of tables and views in the job's largest statement. A lower limit on the bytes billed would
    ///     fail every run.
    ///   - defaultBytes: The default of the limit. One run of the job must fit into it with room to spare.
    ///   - requiresEnvironment: Whether the job cannot work without knowing its environment.
    package init(
        reading environment: inout EnvironmentReader, mostTables: Int, defaultBytes: Int = 10_737_418_240,
        requiresEnvironment: Bool = false
    ) {
        choice = Self.choice(&environment)
        location = environment.string(
            "BIGQUERY_LOCATION", default: "US", expected: "a location such as US or europe-west1",
            help: "The location of the datasets, such as US, EU or europe-west1."
        ) {
            $0.utf8.allSatisfy { $0.isWordCharacter || $0 == UInt8(ascii: "-") } ? nil : "is not a location"
        }
        emulatorURL = environment.optionalString(
            "BIGQUERY_EMULATOR_HOST", expected: "a base URL such as http://127.0.0.1:9050",
            help: "Base URL of an emulator, such as http://127.0.0.1:9050. No credentials are sent there."
        ) { Self.baseURL($0) == nil ? "is not a base URL" : nil }.flatMap(Self.baseURL)
        maximumBytesBilled = Int64(
            environment.integer(
                "MAX_BYTES_BILLED", default: defaultBytes, in: mostTables * Self.leastBytesOfTable...Int.max,
                help: "A query that would bill more bytes fails. Each table in it bills 10485760 or more."))
        self.environment = DeploymentEnvironment(reading: &environment, isRequired: requiresEnvironment)
        credentialVariables = environment.variables
        // The variable is declared and not read as a text, because a problem would show it, and some people set it to the key.
        environment.declare(
            "GOOGLE_APPLICATION_CREDENTIALS",
            help: "A credential file. Without it, the job uses gcloud's credentials, then the metadata server.")
        guard case .bigQuery = choice, emulatorURL == nil else { return }
        if let file = environment.variables["GOOGLE_APPLICATION_CREDENTIALS"], !file.isEmpty, problemOfFile(file) != nil
        {
            environment.note(
                "GOOGLE_APPLICATION_CREDENTIALS", problem: "does not name a readable file",
                expected: "the path of a credential file, or unset it to use gcloud's or the metadata server")
        }
    }

    private static func choice(_ environment: inout EnvironmentReader) -> Choice? {
        let names = ["GCP_PROJECT_ID", "WAREHOUSE_URL"]
        let project = environment.optionalString(
            "GCP_PROJECT_ID", expected: projectRule, help: "The Google Cloud project whose BigQuery is the warehouse."
        ) {
            ProjectID($0) == nil ? "is not a project id" : nil
        }
        let url = environment.optionalString(
            "WAREHOUSE_URL", expected: urlRule,
            help: "Instead of GCP_PROJECT_ID: bigquery://PROJECT, or sqlite:PATH for the embedded warehouse."
        ) {
            read(url: $0) == nil ? "is not a warehouse" : nil
        }
        guard !environment.hasProblem(with: names) else { return nil }
        switch (project.flatMap { ProjectID($0) }.map { Choice.bigQuery($0) }, url.flatMap(read)) {
        case (nil, nil):
            environment.note(
                problem:
                    "no warehouse is chosen: set GCP_PROJECT_ID, or WAREHOUSE_URL to bigquery://PROJECT or sqlite:PATH",
                with: names)
            return nil
        case (let project?, let url?) where project != url:
            environment.note(
                problem: "GCP_PROJECT_ID and WAREHOUSE_URL name two warehouses: unset one of them", with: names)
            return nil
        case (_, .embedded?) where openEmbedded == nil:
            environment.note(
                problem:
                    "WAREHOUSE_URL=sqlite: needs a binary with the embedded warehouse: build it without --disable-default-traits",
                with: ["WAREHOUSE_URL"]
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

    /// The URL without a slash at its end; `nil` if it is not a base URL. A host without a scheme gets http.
    private static func baseURL(_ host: String) -> String? {
        let text = host.contains("://") ? host : "http://\(host)"
        guard let url = try? HTTPURL(text, refusing: [.query, .fragment]) else { return nil }
        return url.text.hasSuffix("/") ? String(url.text.dropLast()) : url.text
    }
}
