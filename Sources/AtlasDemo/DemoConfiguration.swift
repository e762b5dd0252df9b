internal import AtlasConsole

/// The configuration files of the demo's nodes.
package struct DemoConfiguration: Sendable {
    /// What the cluster survives: `cluster.survive`.
    package enum Survive: String, Sendable {
        case node
        case region
    }

    /// A way to a node of another region.
    struct Route: Sendable {
        var address: String
        var via: String
    }

    let topology: DemoTopology
    let survive: Survive
    /// By node.
    let addresses: [String]

    /// Many nodes share one machine: little memory and little disk for each. Durability is left to the machine: what a
    /// node has acknowledged survives the end of its process, and their syncs would all wait for one disk that real
    /// nodes do not share.
    private static let settings = """
        storage:
          sync_writes: false
          block_cache_size: 8MiB
          write_buffer_size: 1MiB
          log_segment_size: 8MiB
          log_retain_size: 16MiB
          log_cache_size: 2MiB
          disk_reserve: 8MiB
        logging:
          level: notice
          format: text

        """

    /// The file of one node.
    func text(of node: Int, dataDirectory: String, routes: [Route]) -> String {
        let own = topology.nodes[node]
        let members = topology.nodes.indices.map { index in
            let member = topology.nodes[index]
            return "    - {id: \"\(member.name)\", address: \"\(addresses[index])\", region_id: \(member.region + 1)}\n"
        }
        let lines = routes.map { "    - {address: \"\($0.address)\", via: \"\($0.via)\"}\n" }
        return """
            node:
              id: "\(own.name)"
              data_dir: \(JSON.string(dataDirectory).compact)
            cluster:
              name: demo
              survive: \(survive.rawValue)
              nodes:
            \(members.joined())transport:
              event_loops: 1
            \(lines.isEmpty ? "" : "  routes:\n" + lines.joined())
            """ + Self.settings
    }
}
