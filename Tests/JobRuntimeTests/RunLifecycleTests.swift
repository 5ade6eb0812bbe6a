import ArgumentParser
import Foundation
import Testing

@testable import JobRuntime

@Suite(.timeLimit(.minutes(30))) struct RunLifecycleTests {
    private let process = FakeProcess()

    private func summary() throws -> ParsedJSON { try ParsedJSON(process.outputLines.last ?? "") }

    private func start(_ act: TrialJob.Act, environment: [String: String] = [:]) async -> Task<JobExitCode, Never> {
        let run = Task { await process.run(TrialJob.self, ["--act", act.rawValue], environment: environment) }
        await process.wait { $0.error.contains("started") }
        return run
    }

    @Test(arguments: [StopSignal.terminate, .interrupt])
    func aSignalStopsTheWorkAndKeepsTheCounts(signal: StopSignal) async throws {
        let run = await start(.untilStopped)

        process.send(signal)

        #expect(await run.value == .stopped)
        #expect(try summary()["status"] == "stopped")
        #expect(try summary()["severity"] == "WARNING")
        #expect(try summary()["reason"] == .string("\(signal.rawValue) received"))
        #expect(try summary()["counts"]?["organizations"] == 2)
        #expect(try summary()["failures"] == .array([]))
    }

    @Test func aSignalBeforeTheWorkBeganStopsItToo() async throws {
        var surroundings = process.surroundings(["--act", "untilStopped"])
        surroundings.onStopSignal = { handler in handler(.terminate) }

        #expect(await JobProcess<TrialJob>(surroundings).run() == .stopped)
        #expect(try summary()["status"] == "stopped")
    }

    @Test func theDeadlineStopsTheWork() async throws {
        let run = await start(.untilStopped, environment: ["DEADLINE_SECONDS": "90"])

        process.fire(.seconds(90))

        #expect(await run.value == .stopped)
        #expect(try summary()["reason"] == "deadline of 1 min 30 s reached")
    }

    @Test func theStepsOfAStopEndBeforeCloudRunKillsTheProcess() {
        #expect(StopBudget.untilSummary + StopBudget.limit(of: .summary) < StopBudget.total)
    }

    @Test func withoutADeadlineNoTimerIsSet() async {
        _ = await process.run(TrialJob.self)
        #expect(process.timers.isEmpty)
    }

    @Test func workThatDoesNotStopIsLeftAfterSevenSeconds() async throws {
        let run = await start(.ignoreStop)
        process.send(.terminate)
        #expect(process.exits.isEmpty)
        #expect(process.timers == [.seconds(7)])

        process.fire(.seconds(7))

        #expect(await run.value == .stopped)
        #expect(try summary()["status"] == "stopped")
    }

    @Test func aReaderThatIsStuckDoesNotKeepTheProcess() async throws {
        let isStuck = DispatchSemaphore(value: 0)
        var surroundings = process.surroundings(["--act", "ignoreStop"])
        let write = surroundings.writeError
        surroundings.writeError = { text in
            write(text)
            if text.contains("SIGTERM received") { isStuck.wait() }
        }
        let run = Task { [surroundings] in await JobProcess<TrialJob>(surroundings).run() }
        await process.wait { $0.error.contains("started") }

        // As in the process itself, each on a thread that may be stuck in writing.
        Thread.detachNewThread { process.send(.terminate) }
        await process.wait { $0.error.contains("SIGTERM received") }
        Thread.detachNewThread { process.fire(.seconds(7)) }
        await process.wait { $0.timers == [.seconds(1)] }
        process.fire(.seconds(1))

        #expect(process.exits == [.stopped])
        isStuck.signal()
        #expect(await run.value == .stopped)
    }

    @Test func aSignalEndsARunWhoseSummaryIsStuck() async throws {
        let isStuck = DispatchSemaphore(value: 0)
        let isWriting = AsyncStream<Void>.makeStream()
        var surroundings = process.surroundings()
        surroundings.writeOutput = { _ in
            isWriting.continuation.yield()
            isStuck.wait()
            return true
        }
        let run = Task { [surroundings] in await JobProcess<TrialJob>(surroundings).run() }
        for await _ in isWriting.stream { break }

        process.send(.terminate)
        process.fire(.seconds(1))

        #expect(process.exits == [.stopped])
        isStuck.signal()
        _ = await run.value
    }

    @Test func aSummaryThatNobodyTakesIsAFailureAndGoesToStandardError() async {
        let surroundings = process.surroundings(takesOutput: false)

        #expect(await JobProcess<TrialJob>(surroundings).run() == .failure)
        #expect(process.error.contains("standard output does not take the summary"))
        #expect(process.errorLines.last?.contains("\"status\":\"succeeded\"") == true)
    }

    @Test func aSecondInterruptEndsAtOnce() async throws {
        let run = await start(.ignoreStop)
        process.send(.interrupt)
        #expect(process.exits.isEmpty)

        process.send(.interrupt)

        #expect(process.exits == [.stopped])
        #expect(await run.value == .stopped)
        #expect(try summary()["status"] == "stopped")
    }

    @Test func aSecondTerminateDoesNotShortenTheGrace() async {
        let run = await start(.ignoreStop)
        process.send(.terminate)
        process.send(.terminate)
        #expect(process.exits.isEmpty)
        #expect(process.timers == [.seconds(7)])
        process.fire(.seconds(7))
        #expect(await run.value == .stopped)
    }

    @Test func workThatIsDoneInSpiteOfTheSignalIsDone() async throws {
        let run = await start(.finishWhenStopped)

        process.send(.terminate)

        #expect(await run.value == .success)
        #expect(try summary()["status"] == "succeeded")
        process.fire(.seconds(7))
        #expect(process.exits == [.success])
    }

    @Test func workThatFailsWhileItStopsIsStoppedAndNamed() async throws {
        let run = await start(.failWhenStopped)

        process.send(.terminate)

        #expect(await run.value == .stopped)
        #expect(try summary()["status"] == "stopped")
        #expect(process.output.contains("the warehouse burnt down"))
    }

    @Test(
        arguments: [
            (nil, "succeeded", []), (FailureOfWork.broken, "failed", ["trial: Broken()"]),
            (.named, "failed", ["read the profiles: the warehouse burnt down"]), (.cancelled, "stopped", []),
            (.skipped, "skipped", []), (.misconfigured, "failed", ["configuration: a.json is empty"]),
        ] as [(FailureOfWork?, String, [String])])
    func closingsSeeTheOutcomeOfTheRunInTheirOrder(
        _ failure: FailureOfWork?, _ status: String, _ failures: [String]
    ) async throws {
        let (lifecycle, run) = try lifecycle()
        let seen = Shared<[String]>([])
        run.onClose(.notification) { outcome in
            seen.change { $0.append("notification: \(outcome.status) \(outcome.failures)") }
        }
        run.onClose(.history) { outcome in seen.change { $0.append("history: \(outcome.status) \(outcome.failures)") } }
        run.onClose(.lease) { outcome in
            seen.change { $0.append("lease: \(outcome.status) \(outcome.failures)") }
            if failure == nil { run.report.fail("lease", "lost") }
        }

        _ = await lifecycle.run {
            if failure == .cancelled { process.send(.terminate) }
            if let failure { throw failure.error }
        }

        let afterLease = failure == nil ? "failed [\"lease: lost\"]" : "\(status) \(failures)"
        #expect(
            seen.value == ["lease: \(status) \(failures)", "history: \(afterLease)", "notification: \(afterLease)"])
    }

    @Test func anExclusiveJobThatTookNoLeaseFails() async throws {
        let (lifecycle, _) = try lifecycle(isExclusive: true)

        #expect(await lifecycle.run {} == .failure)
        #expect(process.output.contains("it worked without a lease"))
    }

    @Test func anExclusiveDryRunAndASkippedRunNeedNoLease() async throws {
        let dry = try lifecycle(isExclusive: true, isDryRun: true).lifecycle
        #expect(await dry.run {} == .success)
        #expect(
            try await lifecycle(isExclusive: true).lifecycle.run { throw RunSkipped("it is not the first") } == .success
        )
    }

    enum FailureOfWork: Sendable {
        case broken, named, cancelled, skipped, misconfigured

        struct Broken: Error {}

        var error: any Error {
            switch self {
            case .broken: Broken()
            case .named: RunFailure(operation: "read the profiles", reason: "the warehouse burnt down")
            case .cancelled: CancellationError()
            case .skipped: RunSkipped("another execution holds the lease")
            case .misconfigured: ConfigurationError("a.json is empty")
            }
        }
    }

    private func lifecycle(isExclusive: Bool = false, isDryRun: Bool = false) throws -> (
        lifecycle: RunLifecycle, run: Run
    ) {
        var reader = EnvironmentReader([:])
        let settings = RuntimeSettings(reading: &reader, isExclusive: isExclusive)
        let options = try CommonOptions.parse(isDryRun ? ["--dry-run"] : [])
        let setting = RunSetting(
            job: "trial", options: options, settings: settings, surroundings: process.surroundings())
        let run = Run(
            job: "trial", isExclusive: isExclusive, isDryRun: isDryRun, now: setting.now, report: setting.report,
            logger: setting.logger, task: settings.task, deadline: nil, leaseValidity: settings.leaseValidity,
            certificateAuthorityFile: nil)
        return (RunLifecycle(setting, run), run)
    }

    @Test func aSignalAfterTheEndChangesNothing() async {
        _ = await process.run(TrialJob.self)
        let output = process.output

        process.send(.terminate)

        #expect(process.exits == [.success])
        #expect(process.output == output)
    }
}
