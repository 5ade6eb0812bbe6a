import Foundation
import TestSupport
import Testing

/// Holds the list of what each job sends, from which `scripts/cost.sh` computes, to what the built jobs send.
@Suite(.timeLimit(.minutes(30))) struct SentRequestsTests {
    @Test func everyJobSendsWhatTheListSaysAndStaysWithinItsBudget() async throws {
        let binaries = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let folder = URL(filePath: binaries).deletingLastPathComponent().path

        let check = try ProjectPython.start([Repository.path("Tests/Costs/record.py"), folder, "--check"])
        let outcome = try await check.outcome()

        #expect(outcome.ending == .exited(0), "\(outcome.output)\(outcome.error)")
    }
}
