import JobRuntime

/// A schedule as a person reads it.
extension ModelEngine {
    func words(for step: ModelStep, to state: ModelState) -> String {
        let seconds = state.time.since(Self.beginning).components.seconds
        let name = { (index: Int) in "execution \(self.programs.names[index][0])" }
        let asked = { (request: Int32) in "\"\(self.programs.requests[request].purpose)\"" }
        let text =
            switch step {
            case .timePasses: "time passes"
            case .starts(let index):
                name(index) + (state.executions[index].attempt > 0 ? " starts again, as its next attempt" : " starts")
            case .wakes(let index): "\(name(index)) has waited"
            case .commits(let index, let request, let effect, let isFresh):
                "\(name(index)): \(asked(request)) \(did(effect))"
                    + (isFresh ? "" : ", on the rows before the last commits")
            case .losesReply(let index, let request, let effect):
                "\(name(index)): \(asked(request)) \(did(effect)), but the reply is lost"
            case .repeats(let index, let request, let effect):
                "\(name(index)): \(asked(request)) \(did(effect)), the reply is lost, and it is sent again"
            case .givesUp(let index, let request):
                "\(name(index)): \(asked(request)) loses its connection and may still be done later"
            case .isKilled(let index, let request): "\(name(index)) is killed during \(asked(request))"
            case .orphanCommits(let index, let request, let effect):
                "\(asked(request)) of \(name(index)), which nobody waits for, \(did(effect))"
            }
        return "after \(seconds) s: \(text)"
    }

    private func did(_ effect: Int32) -> String {
        let value = rows.effects[effect]
        let changed = value.affectedRows ?? (value.writes ? Int64(value.changedRows) : nil)
        return changed.map { "changes \($0) rows" } ?? "finds \(value.rows.count) rows"
    }
}

extension ModelEffect {
    fileprivate var changedRows: Int { changes.count + inserted.reduce(0) { $0 + $1.count } }
}
