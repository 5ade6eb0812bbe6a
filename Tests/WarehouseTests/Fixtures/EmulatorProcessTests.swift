import TestSupport
import Testing

@Suite struct EmulatorProcessTests {
    @Test func sharesOneEmulatorAndCountsByProject() async throws {
        let first = try await EmulatorProcess.shared
        let second = try await EmulatorProcess.shared

        let counts = try await second.requestCounts(project: "a-project-that-nobody-uses")

        #expect(first === second)
        #expect(counts.total == 0)
        #expect(counts.routes.isEmpty)
    }

    @Test func stopsWhenTold() async throws {
        let emulator = try await EmulatorProcess.start(delayMilliseconds: 1)
        try await emulator.resetRequestCounts()

        try await emulator.stop()

        await #expect(throws: (any Error).self) { try await emulator.requestCounts() }
    }
}
