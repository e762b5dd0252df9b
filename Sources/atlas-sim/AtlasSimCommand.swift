internal import ArgumentParser
internal import AtlasCore
internal import Foundation
internal import Glibc

/// `atlas-sim`: runs simulated clusters, and finds out what broke them.
@main
struct AtlasSimCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "atlas-sim",
        abstract: "Runs clusters in virtual time, with faults, from seeds, and checks what they did.",
        discussion: """
            First steps:
              atlas-sim run --seeds 100            run seeds 1 to 100
              atlas-sim replay --seed 42 --trace - run one seed, and show what happened in it
              atlas-sim shrink --seed 42           make a failing run small
              atlas-sim scenario FILE              run what a file describes

            Exit codes: 0 all is well; 1 a rule was violated; 2 wrong usage.
            """,
        subcommands: [
            RunCommand.self, ReplayCommand.self, ShrinkCommand.self, ScenarioCommand.self, DeterminismCommand.self,
            LatencyCommand.self, MutationsCommand.self, HashesCommand.self, MutationChildCommand.self,
            TrialCommand.self,
        ]
    )

    static func main() {
        signal(SIGPIPE, SIG_IGN)
        switchMistakeOn()
        do {
            var command = try parseAsRoot()
            try command.run()
        } catch let status as ExitCode {
            Glibc.exit(status.rawValue)
        } catch {
            let text = fullMessage(for: error) + "\n"
            guard exitCode(for: error).isSuccess else {
                Console.writeError(text)
                Glibc.exit(Verdict.usage.rawValue)
            }
            Console.write(text)
        }
    }

    /// In builds with mistakes that can be switched on, the environment names one for any command.
    private static func switchMistakeOn() {
        #if ATLAS_MUTATIONS
        guard let name = ProcessInfo.processInfo.environment["ATLAS_MUTATION"] else { return }
        activeMutation = Mutation(rawValue: name)
        guard activeMutation == nil else { return }
        Console.writeError("ATLAS_MUTATION: there is no mutation “\(name)”\n")
        Glibc.exit(Verdict.usage.rawValue)
        #endif
    }
}

/// What the process ends with.
enum Verdict {
    static let violation = ExitCode(1)
    static let usage = ExitCode(2)
}
