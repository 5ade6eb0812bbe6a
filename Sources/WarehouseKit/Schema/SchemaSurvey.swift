/// What a bulk comparison found; datasets that agree are not in it.
package struct SchemaSurvey: Sendable {
    package struct Finding: Hashable, Sendable {
        package var datasetExists: Bool
        /// Tables that seem not to be there.
        package var absent: Set<String>
        /// Tables that are there and may differ in a column, its type or mode, in partitioning or clustering.
        package var differing: Set<String>

        package init(datasetExists: Bool, absent: Set<String>, differing: Set<String>) {
            self.datasetExists = datasetExists
            self.absent = absent
            self.differing = differing
        }
    }

    package var findings: [DatasetID: Finding]
    package var bytesBilled: Int64

    package init(findings: [DatasetID: Finding], bytesBilled: Int64 = 0) {
        self.findings = findings
        self.bytesBilled = bytesBilled
    }
}
