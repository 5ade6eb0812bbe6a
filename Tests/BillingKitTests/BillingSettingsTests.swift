import JobRuntime
import Testing

@testable import BillingKit

@Suite struct BillingSettingsTests {
    private static func problems(_ variables: [String: String]) -> [String] {
        var reader = EnvironmentReader(["WAREHOUSE_URL": "bigquery://acme-test-1"].merging(variables) { $1 })
        _ = BillingRetrySettings(reading: &reader)
        return reader.problems
    }

    @Test(arguments: ["rk_test_1", "sk_live_abcDEF", "rk_live_x\n"])
    func takesSecretAndRestrictedKeys(_ key: String) {
        #expect(Self.problems(["STRIPE_SECRET_KEY": key]) == [])
    }

    @Test(arguments: [
        "pk_live_NeverShown", "NeverShown", "sk_", "sk_test_Never Shown", "sk_test_NeverShown\r\nX-Evil: 1",
    ])
    func refusesOthersWithoutShowingThem(_ key: String) {
        let problems = Self.problems(["STRIPE_SECRET_KEY": key])

        #expect(problems.count == 1)
        #expect(problems.first?.hasPrefix("STRIPE_SECRET_KEY ") == true)
        #expect(problems.first?.contains("Never") == false)
    }

    @Test func aMissingKeyIsOneProblem() {
        #expect(Self.problems([:]).count == 1)
    }

    @Test(arguments: [
        ("https://api.stripe.com", true), ("http://127.0.0.1:8420", true), ("http://localhost:8420/", true),
        ("http://[::1]:8420", true), ("http://stripe.example", false), ("http://localhost.evil.example", false),
        ("ftp://x", false), ("https://", false), ("https://user@host", false), ("https://host?x=1", false),
    ])
    func sendsTheKeyOverTLSOnly(_ url: String, _ isFine: Bool) {
        #expect(Self.problems(["STRIPE_SECRET_KEY": "rk_test_1", "STRIPE_API_BASE": url]).isEmpty == isFine)
        #expect(
            Self.problems(["STRIPE_SECRET_KEY": "rk_test_1", "API_SERVICE_URL": url, "CA_ROOT_API_KEY": "hush"]).isEmpty
                == isFine)
    }
}
