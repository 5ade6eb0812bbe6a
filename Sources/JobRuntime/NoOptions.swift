import ArgumentParser

/// The options of a job that has none of its own.
package struct NoOptions: ParsableArguments, Sendable {
    package init() {}
}
