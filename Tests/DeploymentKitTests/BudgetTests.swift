import Testing

@testable import DeploymentKit

@Suite struct BudgetTests {
    private static let budget = "budget: {requests: 20, bytes: 2GiB}"

    private static let budgets: [(String, Int?, Int?)] = [
        ("budget: {requests: 20, bytes: 2GiB}", 20, 2_147_483_648), ("budget: {bytes: 10MiB}", nil, 10_485_760),
        ("budget: {requests: 1}", 1, nil), ("budget: {bytes: 1TiB}", nil, 1_099_511_627_776),
    ]

    @Test(arguments: budgets)
    func readsRequestsAndBytes(_ text: String, _ requests: Int?, _ bytes: Int?) throws {
        let file = try JobsFileReader.read(try Fixture.yaml(Self.budget, text))

        let budget = try #require(file.jobs[1].budget)

        #expect(file.jobs[0].budget == nil)
        #expect(budget.requests == requests)
        #expect(budget.bytes == bytes)
    }

    @Test(arguments: [
        ("budget: {request: 20}", ["44: job setup, budget has the unknown key request; did you mean requests?"]),
        ("budget: {}", ["44: job setup: budget must have requests, bytes or both"]),
        ("budget: 20", ["44: job setup, budget must have keys and values"]),
        (
            "budget: {requests: 0}",
            ["44: job setup, budget: requests must be a whole number from 1 to 100000000, not 0"]
        ),
        (
            "budget: {requests: many, bytes: 2GB}",
            [
                "44: job setup, budget: bytes must be a number and MiB, GiB or TiB, from 10MiB to 1024TiB, such as 2GiB, not 2GB",
                "44: job setup, budget: requests must be a whole number from 1 to 100000000, not many",
            ]
        ),
        (
            "budget: {bytes: 9MiB}",
            [
                "44: job setup, budget: bytes must be a number and MiB, GiB or TiB, from 10MiB to 1024TiB, such as 2GiB, not 9MiB"
            ]
        ),
        (
            "budget: {bytes: 9000000000000TiB}",
            [
                "44: job setup, budget: bytes must be a number and MiB, GiB or TiB, from 10MiB to 1024TiB, such as 2GiB, not 9000000000000TiB"
            ]
        ),
        ("budgets: {requests: 20}", ["44: job setup has the unknown key budgets; did you mean budget?"]),
    ])
    func refusesWhatIsNoBudget(_ text: String, _ expected: [String]) throws {
        let problems = Fixture.problems(try Fixture.yaml(Self.budget, text))

        #expect(Set(problems) == Set(expected))
    }

    @Test func onlyAJobWithABudgetHasAnAlertAndItsFilterHasBothBounds() throws {
        let texts = GeneratedFiles.texts(for: try Fixture.file(), describedBy: try Fixture.descriptions())

        let alert = try #require(texts["test/alerts/over-budget-setup.json"])

        #expect(texts["test/alerts/over-budget-sweep.json"] == nil)
        #expect(alert.contains("(jsonPayload.requests > 20 OR jsonPayload.counts.bytes_billed > 2147483648)"))
        #expect(alert.contains(#"resource.labels.job_name = \"demo-setup\""#))
        #expect(alert.contains("more than 20 requests or 2GiB billed by BigQuery"))
    }

    @Test func aBudgetOfRequestsAloneSaysNothingOfBytes() throws {
        let file = try JobsFileReader.read(try Fixture.yaml(Self.budget, "budget: {requests: 20}"))

        let texts = GeneratedFiles.texts(for: file, describedBy: try Fixture.descriptions())

        let alert = try #require(texts["test/alerts/over-budget-setup.json"])
        #expect(alert.contains("(jsonPayload.requests > 20)"))
        #expect(!alert.contains("bytes_billed >"))
    }
}
