import FoundationEssentials
import HTTPTransport
package import Warehouse

/// Changes of existing tables, each of the version that was read (facts BQ-42, BQ-43 and BQ-50). Columns with policy tags may need permissions that the change itself does not.
extension BigQueryWarehouse {
    /// `tables.patch` has to send all columns (facts BQ-44, BQ-45 and BQ-49), and sending those with policy tags needs permissions that adding a column does not:
    /// https://github.com/googleapis/python-bigquery/issues/557. Where they are missing, a statement adds the columns, if one can (fact BQ-52).
    package func updateSchema(
        of reference: TableReference, to fields: [FieldSchema], ifMatch etag: String
    ) async throws {
        let call = BigQueryAPI.Call(
            method: .tablesPatch, verb: .patch, path: path(of: reference), headers: ["If-Match": etag],
            body: try JSONEncoder().encode(["schema": Table.Schema(fields: fields)]),
            operation: "add columns to table \(reference)", scope: .dataset)
        do {
            _ = try await whileNotVisible(reference.dataset, reference) { try await api.send(call) }
        } catch let error as WarehouseError where error.code == .accessDenied && fields.contains(where: \.isGuarded) {
            guard try await addColumns(to: reference, resulting: fields, ifMatch: etag) else {
                throw error.withAdvice(Self.policyTagAdvice)
            }
        }
    }

    /// Adds the columns by a statement, which sends no other column. The statement skips columns that exist, so the table is read
    /// afterward to see that it has them as they should be.
    /// - Returns: `false` if no statement can express the change.
    private func addColumns(
        to reference: TableReference, resulting fields: [FieldSchema], ifMatch etag: String
    ) async throws -> Bool {
        let operation = "add columns to table \(reference)"
        guard let before = try await locatedTable(reference), before.table.etag == etag else {
            throw WarehouseError(
                .preconditionFailed, operation: operation, message: "the table has changed since it was read")
        }
        guard let sql = TableDDL.additions(to: reference, from: before.table.schema.fields, to: fields) else {
            return false
        }
        _ = try await whileNotVisible(reference.dataset, reference) {
            try await run(Statement(operation, sql), location: before.location, scope: .dataset)
        }
        let after = try await table(reference)
        guard let after, SchemaDiff(expected: after.with(fields: fields), actual: after).isConforming else {
            throw WarehouseError(
                .preconditionFailed, operation: operation,
                message: "another client has added one of the columns in another form")
        }
        return true
    }

    /// A second request changes nothing more, and with `If-Match` it cannot undo what another client changed in between. Columns
    /// with policy tags are sent as in ``updateSchema(of:to:ifMatch:)``, and where that is refused a statement sets only what changes.
    package func update(_ reference: TableReference, with change: TableChange, ifMatch etag: String) async throws {
        do {
            try await patch(reference, with: change, ifMatch: etag)
        } catch let error as WarehouseError
            where error.code == .accessDenied && change.fields?.contains(where: \.isGuarded) == true
        {
            guard let rest = try await alterColumns(of: reference, by: change, ifMatch: etag) else {
                throw error.withAdvice(Self.policyTagAdvice)
            }
            guard !rest.isEmpty, let now = try await table(reference)?.etag else { return }
            try await patch(reference, with: rest, ifMatch: now)
        }
    }

    private func patch(_ reference: TableReference, with change: TableChange, ifMatch etag: String) async throws {
        let call = BigQueryAPI.Call(
            method: .tablesPatch, verb: .patch, path: path(of: reference), headers: ["If-Match": etag],
            body: try JSONEncoder().encode(change), operation: "update table \(reference)", scope: .dataset)
        _ = try await whileNotVisible(reference.dataset, reference) { try await api.send(call) }
    }

    /// Sets descriptions and defaults of columns by a statement, which sends no other column.
    /// - Returns: The change without the columns; `nil` if no statement can express it.
    private func alterColumns(
        of reference: TableReference, by change: TableChange, ifMatch etag: String
    ) async throws -> TableChange? {
        let operation = "update table \(reference)"
        guard let before = try await locatedTable(reference), before.table.etag == etag else {
            throw WarehouseError(
                .preconditionFailed, operation: operation, message: "the table has changed since it was read")
        }
        guard let fields = change.fields,
            let sql = TableDDL.alterations(of: reference, from: before.table.schema.fields, to: fields)
        else { return nil }
        _ = try await whileNotVisible(reference.dataset, reference) {
            try await run(Statement(operation, sql), location: before.location, scope: .dataset)
        }
        var rest = change
        rest.fields = nil
        return rest
    }

    /// https://cloud.google.com/bigquery/docs/column-level-security#permissions
    static let policyTagAdvice =
        "the table has policy tags or data policies, which have to be sent too: grant bigquery.tables.setCategory on the "
        + "dataset and datacatalog.taxonomies.get on the project of the taxonomy"
}

extension Table {
    fileprivate func with(fields: [FieldSchema]) -> Table {
        var table = self
        table.schema.fields = fields
        return table
    }
}
