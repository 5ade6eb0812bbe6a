import JobRuntime

/// One state of the model. Numbers stand for interned values.
struct ModelState {
    enum Phase: UInt8 {
        case waiting, running, over
    }

    struct Execution: Hashable {
        var phase = Phase.waiting
        var attempt = 0
        var history: Int32 = -1
        /// The effects that the pending statement would have had on older rows, sorted.
        var older: [Int32] = []
        /// The statement was done, and its reply was lost; it is sent once more.
        var isRepeated = false
        var started = Timestamp(microseconds: 0)
        var wakes: Timestamp?
    }

    /// A statement whose client is gone.
    struct Orphan: Hashable {
        var execution: Int
        var attempt: Int
        var request: Int32
        var older: [Int32]
        /// Until then it may be running on the rows it began with. Later it can only begin, on the rows of that moment.
        var until: Timestamp?
    }

    var contents: Int32
    var notes: Int32
    var time: Timestamp
    var executions: [Execution]
    var orphans: [Orphan] = []
    var crashes = 0
    var lostReplies = 0
    var lateStatements = 0
    /// Nothing has happened at this instant but starts.
    var isFresh = true

    var faults: Int { crashes + lostReplies + lateStatements }
    var isAnyoneRunning: Bool { executions.contains { $0.phase == .running } }
    var isOver: Bool { executions.allSatisfy { $0.phase == .over } }
}

extension ModelState {
    /// The state in about 40 bytes. Equal states have equal bytes.
    func bytes() -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(64)
        func write(_ number: Int) {
            var rest = UInt64(number + 1)
            while rest >= 0x80 {
                bytes.append(UInt8(rest & 0x7f) | 0x80)
                rest >>= 7
            }
            bytes.append(UInt8(rest))
        }
        func write(_ time: Timestamp?) {
            guard let time else { return write(-1) }
            write(Int(time.since(ModelEngine.beginning).components.seconds) + 1000)
        }
        func write(_ numbers: [Int32]) {
            write(numbers.count)
            for number in numbers { write(Int(number)) }
        }
        write(Int(contents))
        write(Int(notes))
        write(time)
        write(crashes << 5 | lostReplies << 3 | lateStatements << 1 | (isFresh ? 1 : 0))
        for execution in executions {
            write(Int(execution.phase.rawValue) << 2 | execution.attempt << 1 | (execution.isRepeated ? 1 : 0))
            guard execution.phase == .running else { continue }
            write(Int(execution.history))
            write(execution.started)
            write(execution.wakes)
            write(execution.older)
        }
        let lists = orphans.map { orphan in
            (orphan, [orphan.execution, orphan.attempt, Int(orphan.request)])
        }.sorted { $0.1.lexicographicallyPrecedes($1.1) }
        for (orphan, key) in lists {
            for number in key { write(number) }
            write(orphan.until)
            write(orphan.older)
        }
        return bytes
    }

    init(_ bytes: ArraySlice<UInt8>, executions count: Int) {
        var position = bytes.startIndex
        func number() -> Int {
            var (value, shift): (UInt64, UInt64) = (0, 0)
            while true {
                let byte = bytes[position]
                position += 1
                value |= UInt64(byte & 0x7f) << shift
                if byte < 0x80 { return Int(value) - 1 }
                shift += 7
            }
        }
        func time() -> Timestamp? {
            let seconds = number()
            return seconds < 0 ? nil : ModelEngine.beginning.adding(.seconds(seconds - 1000))
        }
        func numbers() -> [Int32] { (0..<number()).map { _ in Int32(number()) } }
        contents = Int32(number())
        notes = Int32(number())
        self.time = time()!
        let faults = number()
        (crashes, lostReplies, lateStatements) = (faults >> 5, faults >> 3 & 3, faults >> 1 & 3)
        isFresh = faults & 1 == 1
        executions = []
        for _ in 0..<count {
            var execution = Execution()
            let flags = number()
            execution.phase = Phase(rawValue: UInt8(flags >> 2))!
            execution.attempt = flags >> 1 & 1
            execution.isRepeated = flags & 1 == 1
            if execution.phase == .running {
                execution.history = Int32(number())
                execution.started = time()!
                execution.wakes = time()
                execution.older = numbers()
            }
            executions.append(execution)
        }
        while position < bytes.endIndex {
            let (execution, attempt, request) = (number(), number(), Int32(number()))
            let until = time()
            orphans.append(
                Orphan(execution: execution, attempt: attempt, request: request, older: numbers(), until: until))
        }
    }
}

enum ModelStep {
    case timePasses
    case starts(Int)
    case wakes(Int)
    case commits(Int, request: Int32, effect: Int32, isFresh: Bool)
    case losesReply(Int, request: Int32, effect: Int32)
    case repeats(Int, request: Int32, effect: Int32)
    case givesUp(Int, request: Int32)
    case isKilled(Int, request: Int32)
    case orphanCommits(Int, request: Int32, effect: Int32)
}

/// Values by number.
struct Interned<Value: Hashable> {
    private(set) var values: [Value] = []
    private var numbers: [Value: Int32] = [:]

    subscript(number: Int32) -> Value { values[Int(number)] }

    mutating func number(of value: Value) -> Int32 {
        if let known = numbers[value] { return known }
        numbers[value] = Int32(values.count)
        values.append(value)
        return Int32(values.count - 1)
    }
}
