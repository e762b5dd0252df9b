/// The live screen: the status twice a second, and faults at a keystroke.
struct DemoWatch {
    let stage: DemoStage
    /// Where the prompt asks.
    let region: Int
    private let terminal = Terminal.shared

    /// In 80 columns.
    static func footer(regionCount: Int) -> String {
        "k kill busiest  c cut it  r restart  h heal  "
            + (regionCount > 1 ? "1-\(regionCount)" : "1") + " load  0 off  f follow  q back"
    }

    init(_ stage: DemoStage, region: Int) {
        self.stage = stage
        self.region = region
    }

    /// Until somebody has enough of it.
    func run() async {
        terminal.open()
        defer { terminal.close() }
        var problem = ""
        while !Task.isCancelled {
            let view = await stage.observer.view()
            let footer = problem.isEmpty ? Self.footer(regionCount: view.regions.count) : "error: \(problem)"
            terminal.draw(DemoScreen(view: view).text, footer: footer)
            guard let key = await terminal.key(within: DemoObserver.interval) else { continue }
            guard case .character(let character) = key, !Self.ends.contains(character) else { return }
            do {
                problem = ""
                for request in Self.requests(character, view) { _ = try await stage.perform(request, from: region) }
            } catch {
                problem = DemoSession.message(error)
            }
        }
    }

    private static let ends: Set<Character> = ["q", "Q", "\r", "\n", "\u{1B}", "\u{04}"]

    /// What a key asks for; nothing if it means nothing, or if there is nothing to do.
    static func requests(_ key: Character, _ view: DemoView) -> [DemoRequest] {
        let nodes = view.regions.enumerated().flatMap { index, region in region.nodes.map { (index, $0) } }
        let busiest = nodes.enumerated().filter { $0.element.1.state == .runs }
            .max { ($0.element.1.owned, $1.offset) < ($1.element.1.owned, $0.offset) }
        switch key {
        case "k": return busiest.map { [.kill(node: $0.offset)] } ?? []
        case "r": return nodes.indices.filter { nodes[$0].1.state != .runs }.map { .restart(node: $0) }
        case "c": return busiest.map { [.cut(region: $0.element.0)] } ?? []
        case "h": return [.heal]
        case "f": return [.load(.follow)]
        case "0": return [.load(.off)]
        default:
            guard let number = key.wholeNumberValue, (1...view.regions.count).contains(number) else { return [] }
            return [.load(.region(number - 1))]
        }
    }
}
