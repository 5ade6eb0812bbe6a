/// The version that every job prints with `--version` and puts into its summary.
package let serviceVersion = "0.1.0"
