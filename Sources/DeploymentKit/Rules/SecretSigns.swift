/// By what a secret is recognized that someone is about to commit.
enum SecretSigns {
    private static let words: Set<Substring> = [
        "KEY", "KEYS", "APIKEY", "SECRET", "SECRETS", "TOKEN", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIAL",
        "CREDENTIALS",
    ]
    private static let beginnings = [
        "sk_live_", "sk_test_", "rk_live_", "rk_test_", "whsec_", "AIza", "ya29.", "ghp_", "github_pat_", "xoxb-",
        "eyJ",
        "-----BEGIN",
    ]

    static func isName(_ name: String) -> Bool {
        name.uppercased().split(separator: "_").contains { words.contains($0) }
    }

    static func isValue(_ value: String) -> Bool {
        // And a password in a URL, https://user:password@host.
        beginnings.contains { value.contains($0) } || value.contains(/:\/\/[^\/@\s]*:[^\/\s]+@/)
    }
}
