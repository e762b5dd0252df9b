import AtlasClient
import Testing

@Suite struct ValueTests {
    @Test func bytes() {
        let text: Bytes = "grüße"
        #expect(text.description == "grüße")
        #expect(text.string == "grüße")
        #expect(String(text) == "grüße")
        let binary: Bytes = [0xFF, 0x00, 0x0A]
        #expect(binary.description == "0xff000a")
        #expect(binary.string == nil)
        #expect(binary.hex == "ff000a")
        #expect(Bytes([1, 2].prefix(1)) == [1])
        #expect(Bytes("ab") < Bytes("b"))
        #expect(Bytes([0x7F]) < Bytes([0x80]))
        #expect(Bytes("a") < Bytes("aa"))
        #expect(Array(binary) == [0xFF, 0x00, 0x0A])
    }

    @Test func requestIDs() throws {
        let id = RequestID()
        #expect(RequestID(id.description) == id)
        #expect(RequestID(bytes: id.bytes) == id)
        #expect(RequestID() != id)
        #expect(
            RequestID("0192f0c1-2345-7abc-8def-0123456789ab")?.description == "0192f0c1-2345-7abc-8def-0123456789ab"
        )
        #expect(RequestID("0192f0c1-2345-4abc-8def-0123456789ab") == nil)
        #expect(RequestID("+192f0c1-2345-7abc-8def-0123456789ab") == nil)
        #expect(RequestID("short") == nil)
        #expect(RequestID(bytes: [1]) == nil)
    }

    @Test func errors() {
        var context = AtlasError.Context()
        context.currentVersion = 7
        let error = AtlasError(.conditionFailed, "the key has another version", context: context)
        #expect(error.code == .conditionFailed)
        #expect(error.currentVersion == 7)
        #expect(!error.isRetryable)
        #expect("\(error)" == "condition_failed: the key has another version")
        #expect(AtlasError(.overloaded, "").isRetryable)
    }
}
