import JobRuntime

/// The billing state of an organization as the warehouse has it: one line of text, which is read only as far as needed, so
/// that tens of thousands of them take little memory. See ``BillingStateStatements``.
struct StoredBilling: Sendable {
    static let separator: Character = "\u{1F}"
    private static let head = 6

    let slug: String
    /// The row that counts in `org_subscriptions`; empty where there is none.
    let row: String
    /// `stripe_read_at` of that row: what the state of Stripe was that it was written for. 1970 if it never was.
    let version: Timestamp
    /// Rows that the organization has in `org_subscriptions`.
    let rows: Int
    let hasQuota: Bool
    let hasProfile: Bool
    /// Some execution of the queue's job is at work on the organization.
    let isInProgress: Bool
    private let line: String

    static let never = Timestamp(microseconds: 0)

    /// - Returns: `nil` for a line whose values have the separator in them.
    init?(slug: String, line: String) {
        let parts = line.split(separator: Self.separator, maxSplits: Self.head, omittingEmptySubsequences: false)
        guard parts.count == Self.head + 1, let version = Int64(parts[1]), let rows = Int(parts[2]),
            line.utf8.count(where: { $0 == Self.separator.asciiValue }) == Self.head + BillingField.allCases.count - 1
        else { return nil }
        self.slug = slug
        row = String(parts[0])
        self.version = Timestamp(microseconds: version)
        self.rows = rows
        hasQuota = parts[3] == "1"
        hasProfile = parts[4] == "1"
        isInProgress = parts[5] == "1"
        self.line = String(parts[6])
    }

    var texts: [Substring] { line.split(separator: Self.separator, omittingEmptySubsequences: false) }

    func text(of field: BillingField) -> String {
        String(texts[BillingField.allCases.firstIndex(of: field)!])
    }

    /// The state itself, for a change of a part of it.
    var values: BillingValues? {
        let texts = texts.map(String.init)
        guard !row.isEmpty, let daily = Int64(texts[2]), let monthly = Int64(texts[3]), let concurrent = Int64(texts[4])
        else { return nil }
        return BillingValues(
            plan: texts[0], status: texts[1], daily: daily, monthly: monthly, concurrent: concurrent,
            seats: Int64(texts[5]), providers: Int64(texts[6]), trialEnd: CivilDate(texts[7]), end: CivilDate(texts[8]),
            customer: texts[9].isEmpty ? nil : texts[9], subscription: texts[10].isEmpty ? nil : texts[10],
            currentPeriodEnd: Int64(texts[11]).map { Timestamp(microseconds: $0) },
            cancelsAtPeriodEnd: texts[12].isEmpty ? nil : texts[12] == "1")
    }
}
