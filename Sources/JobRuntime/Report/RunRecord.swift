/// The facts of a run as they add up.
package struct RunRecord: Sendable {
    /// Failures or warnings: the first hundred, and how many came after them.
    package struct Findings: Sendable {
        static let limit = 100
        static let reasonLimit = 500

        package private(set) var kept: [(subject: String, reason: String)] = []
        private(set) var omitted = 0

        var count: Int { kept.count + omitted }

        // A log entry may have 256 KB, and the summary must be one.
        mutating func add(_ subject: String, _ reason: String) {
            guard kept.count < Self.limit else {
                omitted += 1
                return
            }
            let shortened = reason.count > Self.reasonLimit ? reason.prefix(Self.reasonLimit) + "…" : reason[...]
            kept.append((String(subject.prefix(Self.reasonLimit)), String(shortened)))
        }
    }

    private(set) var counts: [(name: String, value: Int)] = []
    package var failures = Findings()
    package var warnings = Findings()
    package var skipReason: String?
    var details: [(key: String, value: JSONText)] = []

    mutating func add(_ number: Int, to name: String) {
        if let index = counts.firstIndex(where: { $0.name == name }) {
            counts[index].value += number
        } else {
            counts.append((name, number))
        }
    }
}
