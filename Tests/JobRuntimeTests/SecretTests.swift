import JobRuntime
import Testing

@Suite struct SecretTests {
    private struct Holder {
        let name = "stripe"
        let key = Secret("sk_live_hush")
        let optional: Secret? = Secret("sk_live_hush")
    }

    @Test func isNeverShown() {
        let holder = Holder()
        var dumped = ""
        dump(holder, to: &dumped)

        let texts = [
            "\(holder.key)", String(describing: holder.key), String(reflecting: holder.key), "\(holder)",
            String(reflecting: holder), String(describing: [holder.key]), String(describing: holder.optional), dumped,
            String(describing: Mirror(reflecting: holder.key).children.map(\.value)),
        ]

        for text in texts { #expect(!text.contains("hush"), "\(text)") }
        #expect(holder.key.value == "sk_live_hush")
    }
}
