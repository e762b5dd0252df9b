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
            "Sources/AtlasTypes/Key.swift", "Makefile", ".ci/run", "scripts/check.sh", "proto/atlas/atlas.proto",
        ] {
            #expect(files.contains { $0.path == path }, "\(path) is not read")
        }
        #expect(files.allSatisfy { !$0.path.contains("/.build") })
    }

    @Test(
        "a module of Package.swift uses only those above it, all that it names, and docs/ARCHITECTURE.md tells of each"
    )
    func modules() throws {
        let files = try Repository.files()
        let modules = Modules.declarations(in: try Repository.file("Package.swift").text)
        #expect(modules.count > 12, "the modules are not where they were")
        for (index, module) in modules.enumerated() {
            let above = modules[..<index].map(\.name)
            let imports = Set(
                files.filter { $0.module == module.name && $0.isSwift }.flatMap(Import.all(in:)).map(\.module)
            )
            for used in module.uses {
                #expect(imports.contains(used), "\(module.name) names \(used), and does not use it")
            }
            for used in module.uses {
                #expect(above.contains(used), "\(module.name) uses \(used), which is not above it")
            }
        }
        let document = try Repository.file("docs/ARCHITECTURE.md").text
        let told = document.matches(of: #/(?m)^\| (`[\w-]+`(?:, `[\w-]+`)*) \|/#).flatMap { row in
            row.output.1.matches(of: #/`([\w-]+)`/#).map { String($0.1) }
        }
        #expect(Set(told) == Set(modules.map(\.name)), "docs/ARCHITECTURE.md and Package.swift differ")
    }

    /// A setting that is documented does something: what the configuration holds is read somewhere.
    @Test func everySettingIsUsed() throws {
        let files = try Repository.files().filter { $0.path.hasPrefix("Sources/") && $0.path.hasSuffix(".swift") }
        let (declarations, others) = (
            files.filter { $0.path.hasSuffix("Config.swift") && $0.path.contains("/AtlasConfiguration/") }.map(
                \.code
            ),
            files.filter { !$0.path.contains("/AtlasConfiguration/") }.map(\.code)
        )
        let names = declarations.flatMap { $0.matches(of: #/package var (\w+) = /#).map { String($0.1) } }
        #expect(names.count > 40, "the settings are not where they were")
        for name in names {
            // Some are read by what the configuration derives from them, or as a permission by its rules.
            let isUsed =
                others.contains { $0.contains(".\(name)") } || declarations.contains { $0.ranges(of: name).count > 1 }
                || name == "insecure"
            #expect(isUsed, "nobody reads the setting \(name)")
        }
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
