internal import NIOCore
internal import NIOHTTP2

/// Our limits in the words of `NIOHTTP2Handler`.
struct HTTP2Configuration {
    /// Of a connection and of a stream, until something else was agreed (RFC 9113, section 6.9.2).
    static let defaultWindowBytes = 65_535

    var connection = NIOHTTP2Handler.ConnectionConfiguration()
    var stream = NIOHTTP2Handler.StreamConfiguration()

    init(_ limits: RPCLimits) {
        connection.initialSettings = [
            HTTP2Setting(parameter: .maxHeaderListSize, value: limits.headerListBytesMax),
            HTTP2Setting(parameter: .initialWindowSize, value: limits.streamWindowBytes),
        ]
        // Some clients send a few empty frames; a flood of them is cut off.
        connection.maximumSequentialEmptyDataFrames = 64
        connection.maximumConnectionGlitches = limits.streamErrorsMax
        // What the peer sends on streams that we reset, before it knows, is no fault of its own.
        connection.maximumRecentlyResetStreams = 1024
        connection.maximumBufferedControlFrames = 1000
        connection.controlFrameRateLimit.maximumCount = limits.controlFramesPerWindowMax
        connection.controlFrameRateLimit.windowLength = .milliseconds(50)
        stream.streamResetFrameRateLimit.maximumCount = limits.resetFramesPerSecondMax
        stream.streamResetFrameRateLimit.windowLength = .seconds(1)
        stream.streamErrorRateLimit.maximumCount = limits.streamErrorsMax
        stream.streamErrorRateLimit.windowLength = .seconds(30)
    }
}
