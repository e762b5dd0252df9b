"""Starts clusters of the two systems, in one region or in several that are apart by the relay."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

import servers

# Nodes and relay are started as the process tests do it.
sys.path.insert(0, str(servers.REPOSITORY / "Tests/Process"))
os.environ.setdefault("ATLAS_DB", str(servers.REPOSITORY / ".build/release/atlas-db"))

from support.cluster import Cluster, until  # noqa: E402
from support.network import DISTANCES, REGION_NAMES  # noqa: E402,F401
from support.protos import admin_pb2  # noqa: E402
from support.relay import Relay  # noqa: E402
from support.server import free_port  # noqa: E402

ADMIN_SECONDS = 60


class Running:
    """A cluster within a `with`, in a directory of its own. `port` is that of the node that puts writes in order."""

    home: pathlib.Path

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.kill()
        shutil.rmtree(self.home, ignore_errors=True)

    def cpu_seconds(self):
        return sum(map(servers.cpu_seconds, self.pids()))


def home(name, parent):
    return pathlib.Path(tempfile.mkdtemp(prefix=f"compare-{name}-", dir=parent))


class AtlasCluster(Running, Cluster):
    """Nodes with the log that a node has by itself; those of the process tests are smaller."""

    name = "atlas"
    put_path, get_path = servers.Atlas.put_path, servers.Atlas.get_path
    put, get = staticmethod(servers.Atlas.put), staticmethod(servers.Atlas.get)

    def __init__(self, parent, regions, distances=None, survive="node"):
        self.home = home(self.name, parent)
        settings = {
            "cluster.survive": survive,
            "storage.log_segment_size": "64MiB", "logging.level": "error",
            "transport.max_concurrent_stream": 1000,
        }
        super().__init__(self.home, regions, settings, distances)

    def pids(self):
        return [node.pid for node in self.nodes]

    @property
    def port(self):
        return self[self.owner(self.nodes[0])].port

    def port_in(self, region):
        return self.region(region)[0].port

    def split(self, keys):
        """Cuts tablets in front of keys, all at the same time."""
        admin = self.client(self.nodes[0]).admin
        requests = [admin_pb2.SplitTabletRequest(key=key) for key in keys]
        for call in [admin.SplitTablet.future(request, timeout=ADMIN_SECONDS) for request in requests]:
            call.result()

    def move(self, key, region):
        """Hands the tablet of a key to a node of a region."""
        request = admin_pb2.MoveTabletRequest(key=key, region_id=region)
        self.client(self.region(region)[0]).admin.MoveTablet(request, timeout=ADMIN_SECONDS)

    def owner_region(self, key):
        tablets = self.client(self.nodes[0]).admin.ListTablets(admin_pb2.ListTabletsRequest(), timeout=ADMIN_SECONDS)
        return next(found.owner_region for found in reversed(tablets.tablets) if found.start_key <= key)


class EtcdCluster(Running):
    """Members with etcd's defaults. With distances its timeouts are those that etcd's documentation asks for then.

    The URL of a member is the same for all, and part of its identity. So that each member reaches each other one
    through a link of its own, the host's name in it means another address to each: every member has a /etc/hosts of its
    own.
    """

    name = "etcd"
    put_path, get_path = servers.Etcd.put_path, servers.Etcd.get_path
    put, get = staticmethod(servers.Etcd.put), staticmethod(servers.Etcd.get)

    def __init__(self, parent, regions, distances=None):
        self.home = home(self.name, parent)
        self.distances = distances
        self.members = [
            {"name": f"etcd-{region}-{number}", "region": region, "port": free_port(), "peer": free_port()}
            for region, count in enumerate(regions, 1) for number in range(count)
        ]
        self.processes, self.relay = [], None

    def start(self):
        if self.distances:
            self.start_relay()
        for number, member in enumerate(self.members):
            with open(self.home / f"{member['name']}.log", "wb") as log:
                self.processes.append(subprocess.Popen(
                    self.command(number), stdout=log, stderr=log, stdin=subprocess.DEVNULL))
        until(
            lambda: all(map(self.serves, self.members)), f"etcd does not start, see {self.home}",
            servers.START_SECONDS_MAX)

    def kill(self):
        for process in self.processes:
            process.kill()
            process.wait()
        if self.relay:
            self.relay.kill()

    def pids(self):
        return [process.pid for process in self.processes]

    @property
    def port(self):
        return self.leader()["port"]

    def port_in(self, region):
        return next(member["port"] for member in self.members if member["region"] == region)

    def leader(self):
        number = self.leader_number(self.members[0])
        return next(member for member in self.members if self.ask(member, "status")["header"]["member_id"] == number)

    def leader_number(self, member):
        """Who leads, as a member sees it; `None` while nobody does."""
        return self.ask(member, "status").get("leader")

    def lead(self, region):
        """Makes the member of a region the leader."""
        member = next(member for member in self.members if member["region"] == region)
        number = self.ask(member, "status")["header"]["member_id"]
        if self.leader() is not member:
            self.ask(self.leader(), "transfer-leadership", targetID=number)
        until(
            lambda: all(self.leader_number(each) == number for each in self.members),
            "the leader does not move")

    def ask(self, member, what, **fields):
        request = urllib.request.Request(
            f"http://127.0.0.1:{member['port']}/v3/maintenance/{what}", json.dumps(fields).encode())
        with urllib.request.urlopen(request, timeout=ADMIN_SECONDS) as answer:
            return json.loads(answer.read())

    def serves(self, member):
        if any(process.poll() is not None for process in self.processes):
            raise SystemExit(f"etcd ended by itself, see {self.home}")
        try:
            return self.leader_number(member) is not None
        except OSError:
            return False

    # Lines

    def address(self, one, other):
        """Where a member reaches another, by their numbers."""
        is_far = self.distances and self.members[one]["region"] != self.members[other]["region"]
        return f"127.0.{one + 1}.{other + 1}" if is_far else "127.0.0.1"

    def start_relay(self):
        numbers = range(len(self.members))
        links = {
            f"{one}>{other}": (self.members[one]["region"], self.members[other]["region"])
            for one in numbers for other in numbers if self.address(one, other) != "127.0.0.1"
        }
        arguments = []
        for link in links:
            one, other = map(int, link.split(">"))
            port = self.members[other]["peer"]
            arguments.append(f"--link={link}={self.address(one, other)}:{port}>127.0.0.1:{port}")
        self.relay = Relay(*arguments)
        self.relay.ports()
        for link, pair in links.items():
            answer = self.relay.ask("set", link=link, delay_ms=self.distances[tuple(sorted(pair))] / 2)
            if not answer.get("ok"):
                raise SystemExit(f"the relay refuses: {answer}")

    def command(self, number):
        member = self.members[number]
        client = f"http://127.0.0.1:{member['port']}"
        url = {
            each["name"]: f"http://{each['name'] if self.distances else '127.0.0.1'}:{each['peer']}"
            for each in self.members
        }
        command = [
            servers.Etcd.binary(), "--data-dir", str(self.home / member["name"]), "--name", member["name"],
            "--quota-backend-bytes", str(8 << 30), "--listen-client-urls", client, "--advertise-client-urls", client,
            "--listen-peer-urls", f"http://127.0.0.1:{member['peer']}",
            "--initial-advertise-peer-urls", url[member["name"]],
            "--initial-cluster", ",".join(f"{name}={address}" for name, address in url.items()),
        ]
        if not self.distances:
            return command
        hosts = self.home / f"{member['name']}.hosts"
        hosts.write_text("".join(
            f"{self.address(number, other)} {each['name']}\n" for other, each in enumerate(self.members)))
        slow = max(self.distances.values())
        command += ["--heartbeat-interval", str(round(slow)), "--election-timeout", str(round(10 * slow))]
        return [
            "unshare", "--map-root-user", "--mount",
            "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', str(hosts), *command,
        ]


SYSTEMS = {"atlas": AtlasCluster, "etcd": EtcdCluster}


def settle(cluster, seconds_max=20):
    """Waits until it does little by itself."""
    for _ in range(seconds_max):
        cpu = cluster.cpu_seconds()
        time.sleep(1)
        if cluster.cpu_seconds() - cpu < 0.05 * len(cluster.pids()):
            return
