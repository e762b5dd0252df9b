package import Logging

/// Makes lines of log events, for a sink that all handlers of the process share.
package struct AtlasLogHandler: LogHandler {
    package var logLevel: Logger.Level
    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?

    private let label: String
    private let sink: LogSink

    package init(label: String, level: LogLevel, sink: LogSink) {
        self.label = label
        self.sink = sink
        logLevel = Logger.Level(level)
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        var merged = metadata
        if let provided = metadataProvider?.get() { merged.merge(provided) { $1 } }
        if let explicit = event.metadata { merged.merge(explicit) { $1 } }
        let line = LogLine(
            milliseconds: LogTimestamp.now(),
            level: event.level,
            label: label,
            message: event.message.description,
            metadata: merged,
            error: event.error
        )
        sink.write(line)
    }
}

extension Logger.Level {
    package init(_ level: LogLevel) {
        self =
            switch level {
            case .trace: .trace
            case .debug: .debug
            case .info: .info
            case .notice: .notice
            case .warning: .warning
            case .error: .error
            case .critical: .critical
            }
    }
}

extension LoggingConfig {
    /// Makes this the logging of the process. To be called once, before the first logger is made.
    ///
    /// - Returns: the sink that the lines go to: `close()` it before the process ends, `reopen()` it on SIGHUP.
    /// - Throws: if the output cannot be opened.
    package func bootstrap() throws(ConfigurationError) -> LogSink {
        let sink = try LogSink(output, format: format)
        LoggingSystem.bootstrap(
            { label, provider in
                var handler = AtlasLogHandler(label: label, level: level, sink: sink)
                handler.metadataProvider = provider
                return handler
            },
            metadataProvider: nil
        )
        return sink
    }
}
