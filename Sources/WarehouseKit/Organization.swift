package import JobRuntime
package import Warehouse

/// A customer organization, as `organizations.org_profiles` has it.
package struct Organization: Hashable, Sendable {
    /// Checked: 1 to 128 ASCII letters, digits and underscores, so that it may be part of a dataset's name.
    package let slug: String
    /// The dataset name of the profile. It may be empty or invalid.
    package let datasetName: String

    package init?(slug: String, datasetName: String) {
        guard Self.isValid(slug: slug) else { return nil }
        self.slug = slug
        self.datasetName = datasetName
    }

    package static func isValid(slug: String) -> Bool {
        (1...128).contains(slug.utf8.count) && slug.utf8.allSatisfy(\.isWordCharacter)
    }

    package static let slugRule = "1 to 128 ASCII letters, digits and underscores"

    /// The organization's dataset: the one that the profile names, otherwise `{slug}_{environment}`.
    package func dataset(in environment: DeploymentEnvironment) -> (id: DatasetID?, problem: String?) {
        let standard = DatasetID("\(slug)_\(environment.rawValue)")
        var trimmed = datasetName.drop { $0.isWhitespace }
        while trimmed.last?.isWhitespace == true { trimmed.removeLast() }
        let name = String(trimmed)
        guard !name.isEmpty else { return (standard, nil) }
        guard let id = DatasetID(name) else {
            return (
                standard,
                "org_dataset_id \(quoted(datasetName)) is not a dataset name; the job uses \(standard?.name ?? "")"
            )
        }
        guard id.name.lowercased() != DatasetID.organizations.name,
            id.name.lowercased() != DatasetID.schedulerJobs.name
        else { return (nil, "org_dataset_id \(id) is one of the service's own datasets") }
        return (id, nil)
    }
}

/// Reads the list of organizations.
package struct OrganizationDirectory: Sendable {
    package struct Listing: Sendable {
        package var organizations: [Organization] = []
        /// Slugs that cannot be part of a dataset's name, as the table has them.
        package var invalidSlugs: [String] = []
        /// Slugs with several profiles that name different datasets.
        package var ambiguousSlugs: Set<String> = []
        package var bytesBilled: Int64 = 0
    }

    package static let profiles = TableReference(DatasetID.organizations, "org_profiles")!

    private let warehouse: any SQLWarehouse
    private let location: String

    /// - Parameter location: The location of the datasets. The error about missing profiles names it.
    package init(warehouse: any SQLWarehouse, location: String) {
        self.warehouse = warehouse
        self.location = location
    }

    /// The organizations with `status = 'ACTIVE'`, by slug. A slug that occurs twice counts once, with the dataset that one of its
    /// profiles names.
    package func active() async throws -> Listing {
        var seen: [String: String] = [:]
        let result = try await profiles()
        var listing = Listing(bytesBilled: result.bytesBilled)
        for row in result.rows {
            let slug = try row.optionalString("org_slug") ?? ""
            let dataset = try row.optionalString("org_dataset_id") ?? ""
            if let first = seen[slug] {
                if dataset != first { listing.ambiguousSlugs.insert(slug) }
                continue
            }
            seen[slug] = dataset
            if let organization = Organization(slug: slug, datasetName: dataset) {
                listing.organizations.append(organization)
            } else {
                listing.invalidSlugs.append(slug)
            }
        }
        return listing
    }

    /// Counts all profiles, whatever their status. One more request, for a run that found no active organization.
    ///
    /// ```swift
    /// if listing.organizations.isEmpty, let reason = try await directory.counts().reasonForNoneActive {
    ///     report.warn("organizations", reason)
    /// }
    /// ```
    package func counts() async throws -> ProfileCounts {
        let result = try await warehouse.query(Statement("count the profiles", ProfileCounts.sql))
        guard let row = result.rows.first else {
            throw WarehouseError(
                .unexpectedResult, operation: "count the profiles", message: "the answer has no row")
        }
        return ProfileCounts(
            profiles: try row.int64("profiles"), active: try row.int64("active"),
            inOtherCapitals: try row.int64("in_other_capitals"), bytesBilled: result.bytesBilled)
    }

    private func profiles() async throws -> QueryResult {
        var statement = Statement("list the active organizations", Self.allActive)
        statement.confirmsMissingDataset = false
        do {
            return try await warehouse.query(statement)
        } catch let error as WarehouseError where error.code == .notFound {
            throw error.withAdvice("run bootstrap first, or set BIGQUERY_LOCATION (now \(location)) to where it is")
        }
    }

    static let allActive = """
        SELECT org_slug, org_dataset_id FROM \(profiles.sql) WHERE status = 'ACTIVE'
        ORDER BY org_slug, IFNULL(org_dataset_id, '') = '', org_dataset_id
        """
}

/// How many profiles there are, and how many of them are active. Profiles of which none is active are hardly meant so.
package struct ProfileCounts: Sendable {
    package var profiles: Int64 = 0
    /// Organizations with `status = 'ACTIVE'`.
    package var active: Int64 = 0
    /// Profiles with that status in other capitals or with spaces around it, which no job counts as active.
    package var inOtherCapitals: Int64 = 0
    package var bytesBilled: Int64 = 0

    package init(profiles: Int64 = 0, active: Int64 = 0, inOtherCapitals: Int64 = 0, bytesBilled: Int64 = 0) {
        self.profiles = profiles
        self.active = active
        self.inOtherCapitals = inOtherCapitals
        self.bytesBilled = bytesBilled
    }

    /// A warning if there are profiles and none is active; `nil` otherwise.
    package var reasonForNoneActive: String? {
        guard profiles > 0, active == 0 else { return nil }
        let written = inOtherCapitals == 0 ? "" : "; \(inOtherCapitals) have that status in other capitals"
        return "none of \(profiles) in org_profiles has the status ACTIVE\(written)"
    }

    /// The counts as columns of a SELECT from `org_profiles`, in the order of the properties.
    package static let columns = [
        "COUNT(*)", "COUNT(DISTINCT IF(status = 'ACTIVE', org_slug, NULL))",
        "COUNT(IF(UPPER(TRIM(status)) = 'ACTIVE' AND status <> 'ACTIVE', 1, NULL))",
    ]

    static let sql = """
        SELECT \(columns[0]) AS profiles, \(columns[1]) AS active, \(columns[2]) AS in_other_capitals
        FROM \(OrganizationDirectory.profiles.sql)
        """
}

/// The environments that the service is deployed to. The name is part of the organizations' dataset names.
package enum DeploymentEnvironment: String, Sendable, CaseIterable {
    case test, stage, prod

    /// `nil` if the variable is wrong, or if it is optional and not set.
    package init?(reading environment: inout EnvironmentReader, isRequired: Bool) {
        let words = Self.allCases.map(\.rawValue)
        let help = "The environment. It is part of the names of the organizations' datasets."
        let word =
            isRequired
            ? environment.choice("ENVIRONMENT", of: words, help: help)
            : environment.optionalChoice("ENVIRONMENT", of: words, help: help)
        guard let word, let value = DeploymentEnvironment(rawValue: word) else { return nil }
        self = value
    }
}
