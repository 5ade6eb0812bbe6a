import JobRuntime

/// What this task may ask of BigQuery: a rate for each method, and a number of requests in flight for all of them.
///
/// The limits hold for a service account, so the tasks of one execution share them evenly.
struct RequestBudgets: Sendable {
    private let limiters: [BigQueryMethod: RateLimiter]
    private let inFlight: RateLimiter

    init(taskCount: Int, time: TimeSource) {
        let atOnce = max(1, BigQueryMethod.requestsInFlight / taskCount)
        limiters = Dictionary(
            uniqueKeysWithValues: BigQueryMethod.allCases.map {
                let rate = $0.requestsPerSecond / Double(taskCount)
                return ($0, RateLimiter(ratePerSecond: rate, maxInFlight: atOnce, time: time))
            })
        inFlight = RateLimiter(ratePerSecond: 10_000, maxInFlight: atOnce, time: time)
    }

    /// A call that waits for its turn holds no place among those in flight.
    func withPermit<Value>(for method: BigQueryMethod, _ operation: () async throws -> Value) async throws -> Value {
        guard let limiter = limiters[method] else { return try await operation() }
        return try await limiter.withPermit {
            try await inFlight.withPermit(operation)
        }
    }

    func slowDown(_ method: BigQueryMethod) {
        limiters[method]?.slowDown()
    }
}
