/// The form that a name must have.
struct Pattern: Sendable {
    var first: @Sendable (Character) -> Bool
    var others: @Sendable (Character) -> Bool
    var lengths: ClosedRange<Int>
    var lastIsDash: Bool? = false
    /// Continues "... must be".
    var meaning: String
    var also: @Sendable (String) -> Bool = { _ in true }

    func fits(_ text: String) -> Bool {
        guard lengths.contains(text.utf8.count), let head = text.first, first(head) else { return false }
        if let lastIsDash, (text.last == "-") != lastIsDash { return false }
        return text.dropFirst().allSatisfy(others) && also(text)
    }

    static let jobName = Pattern(
        first: isLower, others: isLowerDigitOrDash, lengths: 1...63,
        meaning: "lowercase letters, digits and dashes, beginning with a letter")
    static let executable = Pattern(
        first: { $0.isASCII && $0.isUppercase }, others: isWord, lengths: 1...100,
        meaning: "the name of a target, such as OrgSyncAllJob")
    static let project = Pattern(
        first: isLower, others: isLowerDigitOrDash, lengths: 6...30,
        meaning: "a project id: 6 to 30 lowercase letters, digits and dashes")
    static let region = Pattern(
        first: isLower, others: isLowerDigitOrDash, lengths: 5...40, meaning: "a region, such as us-central1")
    static let bigQueryLocation = Pattern(
        first: { $0.isASCII && $0.isLetter }, others: { isWord($0) || $0 == "-" }, lengths: 2...40,
        meaning: "a location, such as US or europe-west1")
    static let prefix = Pattern(
        first: isLower, others: isLowerDigitOrDash, lengths: 2...40, lastIsDash: true,
        meaning: "lowercase letters, digits and dashes, with a dash at the end")
    static let images = Pattern(
        first: isLower, others: { isLowerDigitOrDash($0) || "./_".contains($0) }, lengths: 3...200,
        meaning: "a repository, such as us-central1-docker.pkg.dev/project/repository")
    static let imageTag = Pattern(
        first: isWord, others: { isWord($0) || $0 == "-" || $0 == "." }, lengths: 1...128, lastIsDash: nil,
        meaning: "a version of letters, digits, dots, dashes and underscores, other than latest",
        also: { $0 != "latest" })
    static let variable = Pattern(
        first: { isWord($0) && !$0.isNumber }, others: isWord, lengths: 1...200, lastIsDash: nil,
        meaning: "letters, digits and underscores")
    static let secret = Pattern(
        first: isWord, others: { isWord($0) || $0 == "-" }, lengths: 1...255, lastIsDash: nil,
        meaning: "1 to 255 letters, digits, dashes and underscores")
    static let account = Pattern(
        first: isLower, others: isLowerDigitOrDash, lengths: 6...30,
        meaning: "6 to 30 lowercase letters, digits and dashes")
    static let roleName = Pattern(
        first: isWord, others: isWord, lengths: 3...40, meaning: "3 to 40 letters, digits and underscores")
    static let dataset = Pattern(
        first: isWord, others: isWord, lengths: 1...1024, meaning: "letters, digits and underscores")
    static let email = Pattern(
        first: { $0 != "@" }, others: { !$0.isWhitespace }, lengths: 5...254, meaning: "an e-mail address",
        also: { text in
            let parts = text.split(separator: "@", omittingEmptySubsequences: false)
            return parts.count == 2 && parts[1].split(separator: ".").count >= 2
        })
}

@Sendable private func isLower(_ letter: Character) -> Bool { ("a"..."z").contains(letter) }

@Sendable private func isDigit(_ letter: Character) -> Bool { ("0"..."9").contains(letter) }

@Sendable private func isLowerDigitOrDash(_ letter: Character) -> Bool {
    isLower(letter) || isDigit(letter) || letter == "-"
}

@Sendable private func isWord(_ letter: Character) -> Bool {
    isLower(letter) || isDigit(letter) || ("A"..."Z").contains(letter) || letter == "_"
}

extension Section {
    func text(_ key: String, _ pattern: Pattern) -> Located<String>? {
        guard let text = text(key) else { return nil }
        guard pattern.fits(text.value) else {
            let count = text.value.utf8.count
            note(
                key,
                count > pattern.lengths.upperBound
                    ? "\(key) has \(count) characters, and may have \(pattern.lengths.upperBound)"
                    : "\(key) must be \(pattern.meaning), not \(text.value)")
            return nil
        }
        return text
    }
}
