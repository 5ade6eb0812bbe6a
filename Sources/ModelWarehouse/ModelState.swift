import JobRuntime

/// One state of the model. Numbers stand for interned values.
struct ModelState: Hashable {
    enum Phase: UInt8 {
        case waiting, running, over
    }

    struct Execution: Hashable {
        var phase = Phase.waiting
        var attempt = 0
        var history: Int32 = -1
        /// The effects that the pending statement would have had on older rows.
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
    var time: Timestamp
    var executions: [Execution]
    var orphans: [Orphan] = []
    var crashes = 0
    var lostReplies = 0
    var lateStatements = 0
    var notes: [Int] = []

    var faults: Int { crashes + lostReplies + lateStatements }
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
    case orphanVanishes(Int, request: Int32)
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
