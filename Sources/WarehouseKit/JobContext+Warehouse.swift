import HTTPTransport
package import JobRuntime
import Logging

/// The settings of a job that works on a warehouse.
package protocol WarehouseUser: JobSettings {
    var warehouse: WarehouseSettings { get }
}

extension JobContext where Job.Settings: WarehouseUser {
    /// Opens the warehouse that the environment names and does the work with it.
    package func withWarehouse(_ work: (any Warehouse) async throws -> Void) async throws {
        let warehouse: any Warehouse
        do {
            warehouse = try opened()
        } catch {
            // Nothing was asked of a server yet: a credential file or the path of the warehouse is wrong.
            throw ConfigurationError(String(describing: error))
        }
        try await recorded(in: warehouse) { try await work(warehouse) }
    }

    private func opened() throws -> any Warehouse {
        switch settings.warehouse.choice {
        case .bigQuery(let project): try bigQuery(project)
        case .embedded(let path): try embedded(path)
        case nil: throw ConfigurationError("no warehouse is chosen")
        }
    }

    private func bigQuery(_ project: ProjectID) throws -> BigQueryWarehouse {
        let transport = transport()
        let credentials = try credentials(transport)
        if let credentials { logger.debug("credentials", metadata: ["origin": "\(credentials.origin)"]) }
        return BigQueryWarehouse(
            project: project, location: settings.warehouse.location,
            baseURL: settings.warehouse.emulatorURL ?? BigQueryWarehouse.productionURL, transport: transport,
            credentials: credentials.map { CachedAccessToken(source: $0, now: Timestamp.wallClock) },
            quotaProject: credentials?.quotaProject, labels: labels,
            maximumBytesBilled: settings.warehouse.maximumBytesBilled, jobTimeout: jobTimeout, taskCount: task.count,
            logger: logger)
    }

    /// No statement outlives the run's deadline, or the lease under which it works.
    private var jobTimeout: Duration? {
        [deadline, (settings as? any LeaseUser)?.lease.validity].compactMap(\.self).min()
    }

    private func credentials(_ transport: CurlTransport) throws -> ApplicationDefaultCredentials? {
        guard settings.warehouse.emulatorURL == nil else { return nil }
        return try ApplicationDefaultCredentials.find(
            environment: settings.warehouse.credentialVariables, transport: transport, now: Timestamp.wallClock)
    }

    /// Labels take lower-case letters, digits, `_` and `-`, at most 63: https://cloud.google.com/bigquery/docs/labels-intro
    private var labels: [String: String] {
        var labels = ["job": Job.name]
        if let execution = task.execution { labels["execution"] = execution }
        return labels.filter { isLabelValue($0.value) }
    }

    private func embedded(_ path: String) throws -> any Warehouse {
        #if EmbeddedWarehouse
            try EmbeddedWarehouse(path: path, location: settings.warehouse.location, isDryRun: isDryRun)
        #else
            throw ConfigurationError("this binary has no embedded warehouse")
        #endif
    }
}

func isLabelValue(_ text: String) -> Bool {
    (1...63).contains(text.utf8.count)
        && text.utf8.allSatisfy {
            $0 == UInt8(ascii: "-") || ($0.isWordCharacter && !(UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0))
        }
}
