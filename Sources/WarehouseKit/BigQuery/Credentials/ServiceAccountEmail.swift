/// The address of a service account, as far as it can be told without asking: plain ASCII, safe in a URL and in a log
/// line.
enum ServiceAccountEmail {
    static func isValid(_ text: some StringProtocol) -> Bool {
        let parts = text.split(separator: "@", omittingEmptySubsequences: false)
        guard parts.count == 2, text.utf8.count <= 254 else { return false }
        return !parts[0].isEmpty && parts[0].allSatisfy { isWord($0) || "._+-".contains($0) }
            && parts[1].contains(".") && parts[1].allSatisfy { isWord($0) || ".-".contains($0) }
    }

    private static func isWord(_ character: Character) -> Bool {
        character.isASCII && (character.isLetter || character.isNumber)
    }
}
