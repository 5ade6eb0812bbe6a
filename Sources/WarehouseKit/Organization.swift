import HTTPTransport
package import JobRuntime
package import Warehouse

/// What may be the slug of a customer organization.
package enum Organization {
    /// Whether the slug may be part of a dataset's name.
    package static func isValid(slug: String) -> Bool {
        (1...128).contains(slug.utf8.count) && slug.utf8.allSatisfy(\.isWordCharacter)
    }

    package static let slugRule = "1 to 128 ASCII letters, digits and underscores"
}

/// The active organizations and their datasets, as `organizations.org_profiles` has them.
///
/// The rules are one SQL text, so that the names of 100,000 organizations need not leave BigQuery:
/// - An organization is a slug with an active profile. A slug with several profiles counts once.
/// - Its dataset is the one that a profile names, otherwise `{slug}_{environment}`. If profiles disagree, the first name counts.
/// - A name that is not a dataset name is reported, and the standard name counts.
/// - A dataset belongs to the first organization by slug that has it. None has a dataset of the service.
package struct OrganizationDirectory: Sendable {
    package static let profiles = TableReference(DatasetID.organizations, "org_profiles")!

    private let environment: DeploymentEnvironment

    package init(environment: DeploymentEnvironment) {
        self.environment = environment
    }

    /// The datasets of the organizations, as the columns `subject` (the slug) and `dataset`.
    /// - Parameter slugs: Only these organizations; all of them if empty.
    package func targets(only slugs: [String] = []) -> Statement {
        var statement = Statement(
            "list the datasets of the active organizations",
            """
            \(Self.organizations)
            SELECT slug AS subject, dataset
            FROM organizations
            WHERE dataset IS NOT NULL AND owner = slug\(slugs.isEmpty ? "" : " AND slug IN UNNEST(@slugs)")
            """, parameters: ["environment": .string(environment.rawValue), "space": .string(Self.space)])
        if !slugs.isEmpty { statement.parameters.append(SQLValue.Field("slugs", .strings(slugs))) }
        return statement
    }

    /// The irregularities of the profiles.
    package struct Census: Sendable {
        /// Slugs that cannot be part of a dataset's name, as the table has them.
        package var invalidSlugs: [String] = []
        /// Problems of organizations that get no dataset, or not the dataset that they name: slug and reason.
        package var problems: [(slug: String, reason: String)] = []
        /// Organizations whose profiles do not agree on the dataset: slug and the name that counts.
        package var ambiguous: [(slug: String, dataset: String)] = []
        /// Which of the slugs in question have an active profile.
        package var found: Set<String> = []
        package var organizations = 0
        package var bytesBilled: Int64 = 0
    }

    /// Counts all profiles, whatever their status. One more request, for a run that found no active organization.
    ///
    /// ```swift
    /// if census.organizations == 0, let reason = try await directory.counts(in: warehouse).reasonForNoneActive {
    ///     report.warn("organizations", reason)
    /// }
    /// ```
    package func counts(in warehouse: any SQLWarehouse) async throws -> ProfileCounts {
        let result = try await warehouse.query(Statement("count the profiles", ProfileCounts.sql))
        guard let row = result.rows.first else {
            throw WarehouseError(
                .unexpectedResult, operation: "count the profiles", message: "the answer has no row", certainty: .done)
        }
        return ProfileCounts(
            profiles: try row.int64("profiles"), active: try row.int64("active"),
            inOtherCapitals: try row.int64("in_other_capitals"), bytesBilled: result.bytesBilled)
    }

    /// - Parameters:
    ///   - slugs: The slugs in question; the census says which of them have an active profile.
    ///   - location: The location of the datasets. The error about missing profiles names it.
    package func census(
        of slugs: [String], in warehouse: any SQLWarehouse, location: String
    ) async throws -> Census {
        do {
            return try Self.census(try await warehouse.query(census(of: slugs)))
        } catch let error as WarehouseError where error.code == .notFound {
            throw error.withAdvice("run bootstrap first, or set BIGQUERY_LOCATION (now \(location)) to where it is")
        }
    }

    /// One row with the number of organizations, and one for each that is irregular or in question.
    package func census(of slugs: [String]) -> Statement {
        var statement = Statement(
            "list the active organizations",
            """
            \(Self.organizations)
            SELECT
              CAST(NULL AS STRING) AS slug, CAST(NULL AS STRING) AS named, CAST(NULL AS STRING) AS dataset,
              CAST(NULL AS STRING) AS owner, TRUE AS is_valid, FALSE AS is_reserved, FALSE AS is_misnamed,
              FALSE AS is_ambiguous, COUNT(*) AS organizations
            FROM organizations
            UNION ALL
            SELECT slug, named, dataset, owner, is_valid, is_reserved, is_misnamed, is_ambiguous, 1
            FROM organizations
            WHERE NOT is_valid OR is_reserved OR is_misnamed OR is_ambiguous OR owner != slug OR slug IN UNNEST(@slugs)
            ORDER BY slug
            """,
            parameters: [
                "environment": .string(environment.rawValue), "space": .string(Self.space), "slugs": .strings(slugs),
            ])
        statement.confirmsMissingDataset = false
        return statement
    }

    private static func census(_ result: QueryResult) throws -> Census {
        var census = Census(bytesBilled: result.bytesBilled)
        var isCounted = false
        for row in result.rows {
            guard let slug = try row.optionalString("slug") else {
                census.organizations = Int(try row.int64("organizations"))
                isCounted = true
                continue
            }
            let named = try row.optionalString("named") ?? ""
            let dataset = try row.optionalString("dataset") ?? ""
            guard try row.bool("is_valid") else {
                census.invalidSlugs.append(slug)
                continue
            }
            census.found.insert(slug)
            if try row.bool("is_ambiguous") { census.ambiguous.append((slug, named.isEmpty ? dataset : named)) }
            if try row.bool("is_reserved") {
                census.problems.append((slug, "org_dataset_id \(named) is one of the service's own datasets"))
                continue
            }
            if try row.bool("is_misnamed") {
                census.problems.append(
                    (slug, "org_dataset_id \(quoted(named)) is not a dataset name; the job uses \(dataset)"))
            }
            if let owner = try row.optionalString("owner"), owner != slug {
                census.problems.append((slug, "dataset \(dataset) is already that of \(owner)"))
            }
        }
        guard isCounted else {
            throw WarehouseError(
                .unexpectedResult, operation: "list the active organizations",
                message: "the answer has no number of organizations, which every answer has", certainty: .done)
        }
        return census
    }

    private static let space = " \t\n\r"

    private static let organizations = """
        WITH
          profiles AS (
            SELECT IFNULL(org_slug, '') AS slug, TRIM(IFNULL(org_dataset_id, ''), @space) AS named
            FROM \(profiles.sql)
            WHERE status = 'ACTIVE'),
          chosen AS (
            SELECT slug, IFNULL(MIN(NULLIF(named, '')), '') AS named, COUNT(DISTINCT named) > 1 AS is_ambiguous
            FROM profiles
            GROUP BY slug),
          checked AS (
            SELECT
              slug, named, is_ambiguous,
              LENGTH(slug) BETWEEN 1 AND 128 AND NOT REGEXP_CONTAINS(slug, '[^A-Za-z0-9_]') AS is_valid,
              LENGTH(named) > 1024 OR REGEXP_CONTAINS(named, '[^A-Za-z0-9_]') AS is_misnamed,
              LOWER(named) IN ('\(DatasetID.organizations)', '\(DatasetID.schedulerJobs)') AS is_reserved
            FROM chosen),
          placed AS (
            SELECT
              slug, named, is_ambiguous, is_valid, is_misnamed, is_reserved,
              CASE
                WHEN NOT is_valid OR is_reserved THEN NULL
                WHEN named = '' OR is_misnamed THEN slug || '_' || @environment
                ELSE named
              END AS dataset
            FROM checked),
          organizations AS (
            SELECT
              slug, named, is_ambiguous, is_valid, is_misnamed, is_reserved, dataset,
              FIRST_VALUE(slug) OVER (PARTITION BY dataset ORDER BY slug) AS owner
            FROM placed)
        """
}

/// How many profiles there are, and how many of them are active. If no profile is active, the status is probably misspelled.
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
