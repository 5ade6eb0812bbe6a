/// Reads which organizations there are.
package struct OrganizationDirectory: Sendable {
    package struct Listing: Sendable {
        package var organizations: [Organization] = []
        /// Slugs that may not be used in a dataset's name, as the table has them.
        package var invalidSlugs: [String] = []
        /// Slugs with several profiles that name different datasets.
        package var ambiguousSlugs: Set<String> = []
        package var bytesBilled: Int64 = 0
    }

    package static let profiles = TableReference(Catalog.organizationsDataset, "org_profiles")!

    package var warehouse: any Warehouse

    package init(warehouse: any Warehouse) {
        self.warehouse = warehouse
    }

    /// Those with `status = 'ACTIVE'`, by slug. A slug that is there twice counts once, with a dataset where one profile names it.
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

    private func profiles() async throws -> QueryResult {
        do {
            return try await warehouse.query(Statement("list the active organizations", Self.allActive))
        } catch let error as WarehouseError where error.code == .notFound {
            var error = error
            error.message +=
                " - run bootstrap first, or set BIGQUERY_LOCATION (now \(warehouse.location)) to where it is"
            throw error
        }
    }

    static let allActive = """
        SELECT org_slug, org_dataset_id FROM \(profiles.sql) WHERE status = 'ACTIVE'
        ORDER BY org_slug, IFNULL(org_dataset_id, '') = '', org_dataset_id
        """
}
