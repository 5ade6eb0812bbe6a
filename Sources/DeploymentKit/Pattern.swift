/// The form that a name must have.
struct Pattern: Sendable {
    /// Has the same meaning in Swift and in a JSON schema. The whole text must match.
    var expression: String
    /// In bytes; all letters are ASCII where the expression says so.
    var lengths: ClosedRange<Int>
    /// Continues "... must be".
    var meaning: String

    func fits(_ text: String) -> Bool {
        guard lengths.contains(text.utf8.count), let regex = try? Regex(expression) else { return false }
        return (try? regex.wholeMatch(in: text)) != nil
    }

    /// What is wrong with a text that does not fit, as the value of a key.
    func complaint(_ text: String, key: String) -> String {
        let count = text.utf8.count
        return count > lengths.upperBound
            ? "\(key) has \(count) characters, and may have \(lengths.upperBound)"
            : "\(key) must be \(meaning), not \(text)"
    }

    private static let dashed = "[a-z]([a-z0-9-]*[a-z0-9])?"

    static let jobName = Pattern(
        expression: dashed, lengths: 1...63, meaning: "lowercase letters, digits and dashes, beginning with a letter")
    static let executable = Pattern(
        expression: "[A-Z][A-Za-z0-9_]*", lengths: 1...100, meaning: "the name of a target, such as OrgSyncAllJob")
    static let project = Pattern(
        expression: dashed, lengths: 6...30, meaning: "a project id: 6 to 30 lowercase letters, digits and dashes")
    static let region = Pattern(expression: dashed, lengths: 5...40, meaning: "a region, such as us-central1")
    static let bigQueryLocation = Pattern(
        expression: "[A-Za-z][A-Za-z0-9_-]*[A-Za-z0-9_]", lengths: 2...40,
        meaning: "a location, such as US or europe-west1")
    static let prefix = Pattern(
        expression: "[a-z][a-z0-9-]*-", lengths: 2...40,
        meaning: "lowercase letters, digits and dashes, with a dash at the end")
    static let images = Pattern(
        expression: "[a-z][a-z0-9./_-]*[a-z0-9./_]", lengths: 3...200,
        meaning: "a repository, such as us-central1-docker.pkg.dev/project/repository")
    static let imageTag = Pattern(
        expression: "(?!latest$)[A-Za-z0-9_][A-Za-z0-9_.-]*", lengths: 1...128,
        meaning: "a version of letters, digits, dots, dashes and underscores, other than latest")
    static let variable = Pattern(
        expression: "[A-Za-z_][A-Za-z0-9_]*", lengths: 1...200, meaning: "letters, digits and underscores")
    static let secret = Pattern(
        expression: "[A-Za-z0-9_][A-Za-z0-9_-]*", lengths: 1...255,
        meaning: "1 to 255 letters, digits, dashes and underscores")
    static let account = Pattern(
        expression: dashed, lengths: 6...30, meaning: "6 to 30 lowercase letters, digits and dashes")
    static let roleName = Pattern(
        expression: "[A-Za-z0-9_]+", lengths: 3...40, meaning: "3 to 40 letters, digits and underscores")
    static let dataset = Pattern(
        expression: "[A-Za-z0-9_]+", lengths: 1...1024, meaning: "letters, digits and underscores")
    static let permission = Pattern(
        expression: "[a-z]+\\.[A-Za-z]+\\.[A-Za-z]+", lengths: 5...200,
        meaning: "a permission, such as bigquery.tables.get")
    static let email = Pattern(
        expression: "[^@\\s]+@[^@\\s.]+(\\.[^@\\s.]+)+", lengths: 5...254, meaning: "an e-mail address")
}
