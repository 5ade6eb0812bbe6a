/// Reads which organizations there are.
package struct OrganizationDirectory: Sendable {
    package struct Listing: Sendable {
        package var organizations: [Organization] = []
        /// Slugs that may not be used in a dataset's name, as the table has them.
        package var invalidSlugs: [String] = []
    }

    package static let profiles = TableReference(Catalog.organizationsDataset, "org_profiles")!

    package var warehouse: any Warehouse

    package init(warehouse: any Warehouse) {
        self.warehouse = warehouse
    }

    /// Those with `status = 'ACTIVE'`, by slug. A slug that is there twice counts once.
    package func active() async throws -> Listing {
        var seen: Set<String> = []
        var listing = Listing()
        for row in try await rows() {
            let slug = try row.optionalString("org_slug") ?? ""
            guard seen.insert(slug).inserted else { continue }
            if let organization = Organization(slug: slug, datasetName: try row.optionalString("org_dataset_id") ?? "")
            {
                listing.organizations.append(organization)
            } else {
                listing.invalidSlugs.append(slug)
            }
        }
        return listing
    }

    private func rows() async throws -> [Row] {
        do {
            return try await warehouse.query(Statement("list the active organizations", Self.allActive)).rows
        } catch let error as WarehouseError where error.code == .notFound {
            var error = error
            error.message +=
                " - run bootstrap first, or set BIGQUERY_LOCATION (now \(warehouse.location)) to where it is"
            throw error
        }
    }

    static let allActive = """
        SELECT org_slug, org_dataset_id FROM \(profiles.sql) WHERE status = 'ACTIVE' ORDER BY org_slug, org_dataset_id
        """
}
