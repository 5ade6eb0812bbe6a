import BigQueryWarehouse
import Foundation
import GoogleCredentials
import TestSupport
import Testing
import Warehouse

/// What was sent never shows in what is said about it.
@Suite struct SecrecyTests {
    private static let replies: [ScriptedReply] = [
        .refusal(400, "invalidQuery"), .refusal(401, "authError"), .refusal(403, "accessDenied"),
        .refusal(500, "internalError"), .text("<html>", status: 500), .text("not JSON"), .closeWithoutReply, .reset,
        .rawBytes(Data("SSH-2.0-OpenSSH".utf8)), .json(#"{"jobComplete": false}"#),
        .json(#"{"jobComplete": true, "rows": [{"f": [{"v": "s3cret-result"}]}]}"#),
        .json(
            #"{"jobComplete": true, "schema": {"fields": [{"name": "v", "type": "DATE"}]}, "rows": [{"f": [{"v": "s3cret-result"}]}]}"#
        ),
    ]

    @Test(arguments: 0..<12)
    func showsNeitherParametersNorTokensNorResults(_ index: Int) async throws {
        let fixture = try BigQueryFixture(BigQueryFixture.Options(tokens: CountingTokens())) { _ in
            Self.replies[index]
        }

        let error = await fixture.failure {
            _ = try await $0.query(Statement("read it", "SELECT @p", parameters: ["p": .string("s3cret-parameter")]))
        }

        let shown = "\(try #require(error)) \(String(reflecting: error))"
        #expect(!shown.contains("s3cret"))
        #expect(!shown.contains("token-"))
        #expect(!shown.contains("Bearer"))
    }
}
