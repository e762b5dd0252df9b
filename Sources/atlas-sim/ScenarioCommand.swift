internal import ArgumentParser
internal import AtlasSimulator
internal import Foundation

/// `atlas-sim scenario`.
struct ScenarioCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "scenario",
        abstract: "Run what a file describes, with all rules watched and the history checked.",
        discussion: """
            One thing a line; # begins a comment. Nodes are n1, n2, … region by region; regions count from 0. Times are \
            like 1200ms, 3s, 500us. A step without a time happens with the one before it. What the file expects is \
            checked at the time behind `by`, else at the end. `fault` takes the mean time between two, `without` leaves \
            one out by its number, `lost` is thousandths of nodes that stay dead at the end.

              seed 7                                without crash 3
              topology 3 3 3                        distance 0 1 11ms
              duration 20s                          tablets 2
              region-failures 1                     local-threshold 600
              settings supportDuration 1s           limit pipelineDepthMax 1
              network lossPermille 5                disk syncLatency 2ms
              clocks offsetMax 400                  workload operations 100
              fault crash 5s                        lost 300

              at 1200ms crash n3                    after 500ms restart n3
              pause n2 for 800ms                    reboot n1 n2
              cut n1 n2 -> n3                       cut region 1
              isolate n2                            mend n1 n2 -> n3
              heal                                  clog n1 <-> n2 for 2s
              loss 5%                               wipe n3
              clock n2 +400ms                       campaign n2 tablet 1
              move tablet 1 to n4 by n2             split at k05
              reconfigure tablet 1 voters n1 n2 n3 region-failures 0
              client 1 put k01=x if-absent global at n2
              client 1 get k01 nearest at n3        client 2 scan

              expect owner n2 by 3s                 expect owner n2 of tablet 2
              expect client 1 answered by 2s        expect client 1 read x
              expect client 1 refused               expect mark handoffTaken
              expect tablets 2                      expect down n3 by 2s

            Examples:
              atlas-sim scenario takeover.txt
              atlas-sim scenario takeover.txt --seeds 20
              atlas-sim scenario takeover.txt --trace - --last 100
            """
    )

    @Argument(help: "The file, or - for standard input.") var file: String
    @Option(help: "Run this many seeds, from the file's on, and end at the first that fails.") var seeds = 1
    @OptionGroup var tracing: TraceOptions

    func run() throws {
        CrashNote.install()
        var scenario = try Self.read(file)
        let first = scenario.seed
        for seed in first..<first + UInt64(max(1, seeds)) {
            scenario.seed = seed
            CrashNote.note(thread: 0, seed: seed)
            if seeds > 1 { Console.write("seed \(seed): ") }
            try Replay(scenario, tracing).run(showingOptions: false)
        }
    }

    static func read(_ file: String) throws -> ScenarioFile {
        let data: Data
        do {
            data =
                try file == "-"
                ? FileHandle.standardInput.readToEnd() ?? Data() : Data(contentsOf: URL(fileURLWithPath: file))
        } catch {
            throw ValidationError("\(file) cannot be read: \(error.localizedDescription)")
        }
        do {
            return try ScenarioFile(parsing: String(decoding: data, as: UTF8.self))
        } catch {
            throw ValidationError("\(file == "-" ? "" : file + ", ")\(error)")
        }
    }
}
