import Foundation
import HTTPTransport
import JobRuntime

/// A machine with one thread and a virtual clock, on which the jobs of a simulated world run.
///
/// It takes the place of Swift's global executor: every task of the process is a piece of work in one queue, and the pieces run one
/// after the other in the order in which they came. When none is left, the clock leaps to the next timer. So the same program
/// does the same in every run, whatever the load of the real machine.
///
/// A piece of work belongs to the simulated process that queued it. ``kill(_:)`` drops all pieces and timers of a process, as
/// SIGKILL does: none of its code runs again, and no `defer` either. The memory of its tasks is lost.
final class SimulatedMachine: @unchecked Sendable {
    typealias ProcessID = Int

    static let shared = SimulatedMachine()

    private struct Work {
        var job: UnownedJob
        var process: ProcessID
    }

    private(set) var now = Timestamp(microseconds: 0)
    /// The simulated process whose code is running; 0 is the world itself.
    private(set) var process: ProcessID = 0
    private var lastProcess: ProcessID = 0
    private var dead: Set<ProcessID> = []
    private var ready = WorkQueue<Work>()
    /// What was ready when the world went to SQLite, which answers on a thread of its own.
    private var parked: WorkQueue<Work>?
    private var timers = TimerHeap()
    private var sleepers: [Int: (process: ProcessID, continuation: UnsafeContinuation<Void, any Error>)] = [:]
    private var nextSleeper = 0
    private let thread = pthread_self()
    private let condition = NSCondition()
    private var arrived: [UnownedJob] = []
    private var isDone = false

    private init() {}

    /// Takes over the process. There is no way back.
    func install(transport: @escaping @Sendable (CurlTransport.Configuration) -> any HTTPTransport) {
        Machine.current = Machine(
            wallClock: { SimulatedMachine.shared.now },
            time: TimeSource(
                elapsed: { .microseconds(SimulatedMachine.shared.now.microseconds) },
                sleep: { try await SimulatedMachine.shared.sleep($0) }),
            jitter: { JobDice.fraction() }, transport: transport)
        typealias Original = @convention(thin) (UnownedJob) -> Void
        typealias Hook = @convention(thin) (UnownedJob, Original) -> Void
        guard let symbol = dlsym(dlopen(nil, RTLD_NOW), "swift_task_enqueueGlobal_hook") else {
            fatalError("Swift's runtime has no hook for its global executor")
        }
        symbol.assumingMemoryBound(to: Hook?.self).pointee = { job, _ in SimulatedMachine.shared.enqueue(job) }
    }

    /// Runs the work as the world's own, and returns when it has ended.
    func run(from start: Timestamp, _ work: @escaping @Sendable () async -> Void) {
        now = start
        process = 0
        dead = []
        ready = WorkQueue()
        timers = TimerHeap()
        sleepers = [:]
        isDone = false
        Task.detached {
            await work()
            self.isDone = true
        }
        while !isDone { step() }
    }

    private func step() {
        if let work = ready.next() {
            return execute(work.job, as: work.process)
        }
        if parked != nil { return execute(nextArrival(), as: process) }
        guard let timer = timers.next() else { fatalError("every task of the simulated world waits for another one") }
        guard !dead.contains(timer.process) else { return }
        now = max(now, timer.time)
        process = timer.process
        timer.action()
    }

    private func execute(_ job: UnownedJob, as process: ProcessID) {
        guard !dead.contains(process) else { return }
        self.process = process
        job.runSynchronously(on: unsafeBitCast((UInt(0), UInt(0)), to: UnownedSerialExecutor.self))
    }

    private func enqueue(_ job: UnownedJob) {
        if pthread_equal(thread, pthread_self()) != 0 { return ready.append(Work(job: job, process: process)) }
        condition.lock()
        arrived.append(job)
        condition.signal()
        condition.unlock()
    }

    private func nextArrival() -> UnownedJob {
        condition.lock()
        while arrived.isEmpty { condition.wait() }
        let job = arrived.removeFirst()
        condition.unlock()
        return job
    }

    /// Does work that another thread answers. Nothing else runs until then, and no virtual time passes.
    func outside<Value>(_ work: () async throws -> Value) async rethrows -> Value {
        let others = ready
        parked = others
        ready = WorkQueue()
        let process = process
        defer {
            let added = ready
            ready = parked ?? WorkQueue()
            ready.append(contentsOf: added)
            parked = nil
            self.process = process
        }
        return try await work()
    }

    // MARK: Processes

    /// Starts a simulated process.
    func start(_ work: @escaping @Sendable () async -> Void) -> ProcessID {
        lastProcess += 1
        let (starter, started) = (process, lastProcess)
        process = started
        Task.detached { await work() }
        process = starter
        return started
    }

    /// Calls the closure as code of that process, so that everything it resumes belongs to the process.
    func act(as process: ProcessID, _ action: () -> Void) {
        let actor = self.process
        self.process = process
        if !dead.contains(process) { action() }
        self.process = actor
    }

    func kill(_ process: ProcessID) {
        dead.insert(process)
        sleepers = sleepers.filter { $0.value.process != process }
    }

    func isAlive(_ process: ProcessID) -> Bool { !dead.contains(process) }

    // MARK: Time

    /// Calls the closure at that time as code of the process that asks for it.
    func at(_ time: Timestamp, _ action: @escaping () -> Void) {
        timers.insert(time, process, action)
    }

    func after(_ delay: Duration, _ action: @escaping () -> Void) { at(now.adding(delay), action) }

    /// Throws `CancellationError` when the task is canceled.
    func sleep(_ duration: Duration) async throws {
        nextSleeper += 1
        let id = nextSleeper
        try await withTaskCancellationHandler {
            try await withUnsafeThrowingContinuation { (continuation: UnsafeContinuation<Void, any Error>) in
                if Task.isCancelled { return continuation.resume(throwing: CancellationError()) }
                sleepers[id] = (process, continuation)
                after(duration) { self.wake(id) { $0.resume() } }
            }
        } onCancel: {
            self.wake(id) { $0.resume(throwing: CancellationError()) }
        }
    }

    private func wake(_ id: Int, _ resume: (UnsafeContinuation<Void, any Error>) -> Void) {
        guard let sleeper = sleepers.removeValue(forKey: id) else { return }
        act(as: sleeper.process) { resume(sleeper.continuation) }
    }
}

/// First in, first out.
private struct WorkQueue<Element> {
    private var elements: [Element] = []
    private var head = 0

    mutating func append(_ element: Element) { elements.append(element) }

    mutating func append(contentsOf other: WorkQueue) { elements += other.elements[other.head...] }

    mutating func next() -> Element? {
        guard head < elements.count else { return nil }
        defer {
            head += 1
            if head == elements.count {
                elements.removeAll(keepingCapacity: true)
                head = 0
            }
        }
        return elements[head]
    }
}

/// Timers by time, and in the order of their creation where the times are equal.
private struct TimerHeap {
    struct Timer {
        var time: Timestamp
        var order: Int
        var process: SimulatedMachine.ProcessID
        var action: () -> Void

        func isBefore(_ other: Timer) -> Bool { (time.microseconds, order) < (other.time.microseconds, other.order) }
    }

    private var heap: [Timer] = []
    private var count = 0

    mutating func insert(_ time: Timestamp, _ process: SimulatedMachine.ProcessID, _ action: @escaping () -> Void) {
        count += 1
        heap.append(Timer(time: time, order: count, process: process, action: action))
        var child = heap.count - 1
        while child > 0, heap[child].isBefore(heap[(child - 1) / 2]) {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    mutating func next() -> Timer? {
        guard let first = heap.first else { return nil }
        heap[0] = heap[heap.count - 1]
        heap.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && heap[child].isBefore(heap[least])
            {
                least = child
            }
            if least == parent { return first }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}
