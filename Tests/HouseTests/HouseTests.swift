import Testing

/// The rules of the house hold for every file of the repository.
@Suite struct HouseTests {
    @Test(arguments: Rule.all)
    func isKept(_ rule: Rule) throws {
        let violations = try Repository.files().flatMap(rule.violations)
        #expect(violations.isEmpty, "\(violations.map(\.description).joined(separator: "\n"))")
    }

    @Test(arguments: Rule.all)
    func canFail(_ rule: Rule) {
        #expect(!rule.badSamples.isEmpty)
        for sample in rule.badSamples {
            #expect(!rule.violations(sample.file).isEmpty, "not seen in \(sample.path): \(sample.text)")
        }
        for sample in rule.goodSamples {
            let violations = rule.violations(sample.file)
            #expect(violations.isEmpty, "\(violations.map(\.description))")
        }
    }

    /// The rules see the files that they are about.
    @Test func everyModuleIsRead() throws {
        let files = try Repository.files()
        for path in [
            "Sources/AtlasCore/Types/Key.swift", "Makefile", ".ci/run", "scripts/check.sh", "proto/atlas/atlas.proto",
        ] {
            #expect(files.contains { $0.path == path }, "\(path) is not read")
        }
        #expect(files.allSatisfy { !$0.path.contains("/.build") })
    }

    @Test func commentsAreNotCode() {
        let text = #"""
            let a = "// not a comment" // a comment
            let b = #"/* " */"# /* one /* inside */
            another */ + "\"//" + """
                // text " //
                """
            """#
        let expected = #"""
            let a = "// not a comment"  \#n
            let b = #"/* " */"# \#n
              + "\"//" + """
                // text " //
                """
            """#
        let code = SourceFile(path: "Sources/A/a.swift", text: text).code
        #expect(
            code.split(separator: "\n").map { $0.filter { $0 != " " } }
                == expected.split(separator: "\n").map { $0.filter { $0 != " " } }
        )
    }
}
