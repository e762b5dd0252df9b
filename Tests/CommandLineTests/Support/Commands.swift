import Testing

/// Everything that runs the binary. One at a time: each of these tests has processes of its own and some look at the
/// clock.
@Suite("Commands", .serialized)
enum Commands {}
