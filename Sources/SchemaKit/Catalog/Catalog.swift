import FoundationEssentials
package import JobRuntime
package import Warehouse

/// The tables that datasets should have, as data. Each table is a JSON file in the form of BigQuery's REST `Table` resource.
///
/// The files are part of the binary; `CATALOG_DIR` names a folder that replaces them. There is one folder for each group,
/// `organizations/`, `organization/` and `operations/`, and in it one file `<table>.json` for each table.
///
/// ```swift
/// let tables = try Catalog.embedded([.organization]).tables(.organization)
/// ```
package struct Catalog: Sendable {
    package enum Group: String, Sendable, CaseIterable {
        /// The tables of the central dataset `organizations`.
        case organizations
        /// The tables of each customer organization's own dataset.
        case organization
        /// This service's own state, in the dataset `scheduler_jobs`.
        case operations
    }

    var groups: [Group: [NamedTable]]

    /// Sorted by name.
    package func tables(_ group: Group) -> [NamedTable] { groups[group] ?? [] }

    /// A catalog without tables.
    package init() {
        groups = [:]
    }

    /// - Throws: ``CatalogError`` with every problem of every file.
    package init(_ sources: [Group: [CatalogFile]]) throws(CatalogError) {
        var problems: [String] = []
        groups = sources.mapValues { files in
            files.sorted { $0.name < $1.name }.compactMap { file in
                do throws(CatalogError) {
                    return try file.table()
                } catch {
                    problems += error.problems
                    return nil
                }
            }
        }
        guard problems.isEmpty else { throw CatalogError(problems: problems) }
    }
}

/// The problems of a catalog that cannot be used. Each line names the file, the field and the reason.
package struct CatalogError: Error, Sendable, CustomStringConvertible {
    package var problems: [String]

    package var description: String { problems.joined(separator: "\n") }
}

extension Catalog {
    /// The catalog that is part of this binary.
    package static func embedded(_ wanted: [Group]) throws(CatalogError) -> Catalog {
        try Catalog(
            Dictionary(
                uniqueKeysWithValues: wanted.map { group in
                    (
                        group,
                        files(group).map {
                            CatalogFile(
                                name: $0, path: "\(group.rawValue)/\($0).json", contents: Data($1), isBuiltIn: true)
                        }
                    )
                }))
    }

    /// Every file under `Tables/`, by group. Add a new file to this list; a test compares the list with the folder.
    private static func files(_ group: Group) -> [(String, [UInt8])] {
        switch group {
        case .organizations:
            [
                ("org_api_keys", PackageResources.org_api_keys_json),
                ("org_audit_logs", PackageResources.org_audit_logs_json),
                ("org_cost_tracking", PackageResources.org_cost_tracking_json),
                ("org_hierarchy", PackageResources.org_hierarchy_json),
                ("org_hierarchy_levels", PackageResources.org_hierarchy_levels_json),
                ("org_idempotency_keys", PackageResources.org_idempotency_keys_json),
                ("org_integration_credentials", PackageResources.org_integration_credentials_json),
                ("org_meta_dq_results", PackageResources.org_meta_dq_results_json),
                ("org_meta_pipeline_runs", PackageResources.org_meta_pipeline_runs_json),
                ("org_meta_state_transitions", PackageResources.org_meta_state_transitions_json),
                ("org_meta_step_logs", PackageResources.org_meta_step_logs_json),
                ("org_notification_channels", PackageResources.org_notification_channels_json),
                ("org_notification_history", PackageResources.org_notification_history_json),
                ("org_notification_rules", PackageResources.org_notification_rules_json),
                ("org_notification_summaries", PackageResources.org_notification_summaries_json),
                ("org_pipeline_configs", PackageResources.org_pipeline_configs_json),
                ("org_pipeline_execution_queue", PackageResources.org_pipeline_execution_queue_json),
                ("org_profiles", PackageResources.org_profiles_json),
                ("org_scheduled_pipeline_runs", PackageResources.org_scheduled_pipeline_runs_json),
                ("org_subscriptions", PackageResources.org_subscriptions_json),
                ("org_usage_quotas", PackageResources.org_usage_quotas_json),
            ]
        case .organization:
            [
                ("cloud_aws_billing_raw_daily", PackageResources.cloud_aws_billing_raw_daily_json),
                ("cloud_azure_billing_raw_daily", PackageResources.cloud_azure_billing_raw_daily_json),
                ("cloud_gcp_billing_raw_daily", PackageResources.cloud_gcp_billing_raw_daily_json),
                ("cloud_oci_billing_raw_daily", PackageResources.cloud_oci_billing_raw_daily_json),
                ("contract_commitment_1_3", PackageResources.contract_commitment_1_3_json),
                ("cost_data_standard_1_3", PackageResources.cost_data_standard_1_3_json),
                ("genai_commitment_costs_daily", PackageResources.genai_commitment_costs_daily_json),
                ("genai_commitment_pricing", PackageResources.genai_commitment_pricing_json),
                ("genai_commitment_usage_raw", PackageResources.genai_commitment_usage_raw_json),
                ("genai_costs_daily_unified", PackageResources.genai_costs_daily_unified_json),
                ("genai_infrastructure_costs_daily", PackageResources.genai_infrastructure_costs_daily_json),
                ("genai_infrastructure_pricing", PackageResources.genai_infrastructure_pricing_json),
                ("genai_infrastructure_usage_raw", PackageResources.genai_infrastructure_usage_raw_json),
                ("genai_payg_costs_daily", PackageResources.genai_payg_costs_daily_json),
                ("genai_payg_pricing", PackageResources.genai_payg_pricing_json),
                ("genai_payg_usage_raw", PackageResources.genai_payg_usage_raw_json),
                ("genai_usage_daily_unified", PackageResources.genai_usage_daily_unified_json),
                ("subscription_plan_costs_daily", PackageResources.subscription_plan_costs_daily_json),
                ("subscription_plans", PackageResources.subscription_plans_json),
            ]
        case .operations:
            [
                ("billing_event_cursor", PackageResources.billing_event_cursor_json),
                ("billing_sync_queue", PackageResources.billing_sync_queue_json),
                ("job_leases", PackageResources.job_leases_json),
                ("job_runs", PackageResources.job_runs_json),
                ("rollouts", PackageResources.rollouts_json),
                ("schema_changes", PackageResources.schema_changes_json),
                ("verifications", PackageResources.verifications_json),
            ]
        }
    }
}

extension Catalog {
    /// Reads a folder with one folder for each group and one file for each table.
    package init(directory: String, _ groups: [Group]) throws(CatalogError) {
        var problems: [String] = []
        var sources: [Group: [CatalogFile]] = [:]
        for group in groups {
            do throws(CatalogError) {
                sources[group] = try Self.files(in: "\(directory)/\(group.rawValue)")
            } catch {
                problems += error.problems
            }
        }
        do throws(CatalogError) {
            try self.init(sources)
        } catch {
            throw CatalogError(problems: problems + error.problems)
        }
        guard problems.isEmpty else { throw CatalogError(problems: problems) }
    }

    private static func files(in folder: String) throws(CatalogError) -> [CatalogFile] {
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: folder) else {
            throw CatalogError(problems: ["\(folder): no such folder, or it cannot be read"])
        }
        let files = names.filter { $0.hasSuffix(".json") }.sorted()
        guard !files.isEmpty else { throw CatalogError(problems: ["\(folder): no .json file in it"]) }
        var problems: [String] = []
        var read: [CatalogFile] = []
        for file in files {
            let path = "\(folder)/\(file)"
            if let contents = FileManager.default.contents(atPath: path) {
                read.append(CatalogFile(name: String(file.dropLast(5)), path: path, contents: contents))
            } else {
                problems.append("\(path): cannot be read")
            }
        }
        guard problems.isEmpty else { throw CatalogError(problems: problems) }
        return read
    }
}

extension Catalog {
    /// The catalog that a job works with: the binary's own, or the folder that `CATALOG_DIR` names. Every problem of a file is a
    /// problem of the environment.
    package init(reading environment: inout EnvironmentReader, groups: [Group]) {
        let directory = environment.optionalString(
            "CATALOG_DIR", expected: "the path of a folder",
            help: "A folder with organizations/, organization/ and operations/*.json that replaces the built-in tables."
        )
        do throws(CatalogError) {
            if let directory {
                self = try Catalog(directory: directory, groups)
            } else {
                self = try Catalog.embedded(groups)
            }
        } catch {
            for problem in error.problems {
                environment.note(problem: "CATALOG_DIR: \(problem)", with: ["CATALOG_DIR"])
            }
            self = Catalog()
        }
    }
}
