"""What the canned engine answers: one of each object, with the shapes that Docker's API gives them."""

import struct
import time
from typing import Any

from contract.canned_engine import Error, Raw, Request, Routes, Upgrade

ID, OTHER = "a1b2c3d4e5f6" + "0" * 52, "ffeeddccbbaa" + "1" * 52
NOW = int(time.time())

NETWORKS: list[dict[str, Any]] = [
    {
        "Name": "web10",
        "Id": ID,
        "Created": "2024-05-01T10:00:00.123456789Z",
        "Scope": "local",
        "Driver": "bridge",
        "EnableIPv4": True,
        "EnableIPv6": False,
        "IPAM": {
            "Driver": "default",
            "Options": None,
            "Config": [{"Subnet": "172.18.0.0/16", "Gateway": "172.18.0.1"}],
        },
        "Internal": False,
        "Attachable": False,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {
            OTHER: {
                "Name": "c1",
                "EndpointID": ID,
                "MacAddress": "02:42:ac:12:00:02",
                "IPv4Address": "172.18.0.2/16",
                "IPv6Address": "",
            }
        },
        "Options": {"o1": "x", "o2": "y"},
        "Labels": {"a": "b"},
    },
    {
        "Name": "web2",
        "Id": OTHER,
        "Created": "2024-05-01T10:00:00Z",
        "Scope": "swarm",
        "Driver": "overlay",
        "EnableIPv4": True,
        "EnableIPv6": True,
        "IPAM": {"Driver": "default", "Options": {}, "Config": []},
        "Internal": True,
        "Attachable": True,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {},
        "Options": None,
        "Labels": {},
    },
]


def _port(private: int, kind: str = "tcp", address: str = "", public: int = 0) -> dict[str, Any]:
    port: dict[str, Any] = {"PrivatePort": private, "Type": kind}
    return {"IP": address, "PublicPort": public, **port} if address else port


CONTAINERS: list[dict[str, Any]] = [
    {
        "Id": ID,
        "Names": ["/web"],
        "Image": "nginx:latest",
        "ImageID": f"sha256:{ID}",
        "Command": "sh -c 'echo a very long command'",
        "Created": NOW - 130,
        "State": "running",
        "Status": "Up 2 minutes",
        "Ports": [
            _port(80, address="0.0.0.0", public=8080),
            _port(80, address="::", public=8080),
            _port(443),
            _port(444),
            _port(90, "udp", "0.0.0.0", 90),
            _port(91, "udp", "0.0.0.0", 91),
            _port(95, "udp", "0.0.0.0", 95),
        ],
        "Labels": {"x": "y"},
        "HostConfig": {"NetworkMode": "web"},
        "NetworkSettings": {"Networks": {"web": {}}},
        "Mounts": [
            {
                "Type": "volume",
                "Name": "averyveryverylongname",
                "Source": "/v",
                "Destination": "/d",
                "Driver": "local",
                "Mode": "",
                "RW": True,
                "Propagation": "",
            }
        ],
        "SizeRw": 1234567,
        "SizeRootFs": 98765432,
    },
    {
        "Id": OTHER,
        "Names": ["/db", "/web/db"],
        "Image": f"sha256:{OTHER}",
        "ImageID": f"sha256:{OTHER}",
        "Command": "sh",
        "Created": NOW - 3600 * 50,
        "State": "exited",
        "Status": "Exited (0) 2 days ago",
        "Ports": [],
        "Labels": {},
        "HostConfig": {"NetworkMode": "default"},
        "NetworkSettings": {"Networks": {"bridge": {}}},
        "Mounts": [],
    },
]
IMAGES: list[dict[str, Any]] = [
    {
        "Id": f"sha256:{ID}",
        "ParentId": "",
        "RepoTags": ["registry:5000/a/b:v1"],
        "RepoDigests": [],
        "Created": NOW - 86400 * 20,
        "Size": 123456789,
        "SharedSize": -1,
        "Labels": None,
        "Containers": -1,
    },
    {
        "Id": f"sha256:{OTHER}",
        "ParentId": "",
        "RepoTags": [],
        "RepoDigests": [f"foo@sha256:{OTHER}"],
        "Created": NOW - 86400 * 200,
        "Size": 4567,
        "SharedSize": -1,
        "Labels": {},
        "Containers": -1,
    },
]
VOLUMES: list[dict[str, Any]] = [
    {
        "Name": "v10",
        "Driver": "local",
        "Mountpoint": "/m/v10",
        "Scope": "local",
        "Labels": {"a": "b"},
        "Options": None,
        "CreatedAt": "2024-05-01T10:00:00Z",
    },
    {
        "Name": "v2",
        "Driver": "local",
        "Mountpoint": "/m/v2",
        "Scope": "local",
        "Labels": None,
        "Options": {},
    },
]
CONTAINER: dict[str, Any] = {
    "Id": ID,
    "Created": "2024-05-01T10:00:00.1Z",
    "Path": "sh",
    "Args": ["-c", "x"],
    "State": {
        "Status": "running",
        "Running": True,
        "Paused": False,
        "Restarting": False,
        "OOMKilled": False,
        "Dead": False,
        "Pid": 42,
        "ExitCode": 0,
        "Error": "",
        "StartedAt": "2024-05-01T10:00:01Z",
        "FinishedAt": "0001-01-01T00:00:00Z",
    },
    "Image": f"sha256:{ID}",
    "Name": "/web",
    "RestartCount": 0,
    "HostConfig": {
        "NetworkMode": "web",
        "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]},
        "Memory": 0,
        "NanoCpus": 500000000,
        "AutoRemove": False,
    },
    "Mounts": [],
    "Config": {
        "Tty": False,
        "OpenStdin": False,
        "ExposedPorts": {"80/tcp": {}},
        "Env": ["A=b"],
        "Cmd": ["sh"],
        "Volumes": None,
        "Labels": {"a<b": "c&d"},
    },
    "NetworkSettings": {
        "Ports": {
            "80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}, {"HostIp": "::", "HostPort": "8080"}],
            "443/tcp": None,
            "9000/udp": [{"HostIp": "127.0.0.1", "HostPort": "9000"}],
        },
        "IPAddress": "172.18.0.2",
        "Networks": {"web": {"Aliases": ["x"], "IPAddress": "172.18.0.2", "IPPrefixLen": 16}},
    },
}
HISTORY = [
    {
        "Id": f"sha256:{ID}",
        "Created": NOW - 86400 * 3,
        "CreatedBy": '/bin/sh -c #(nop)\tCMD ["a very long command line indeed yes"]',
        "Tags": None,
        "Size": 1234567,
        "Comment": "hello",
    },
    {
        "Id": "<missing>",
        "Created": NOW - 86400 * 900,
        "CreatedBy": "x",
        "Tags": None,
        "Size": 0,
        "Comment": "",
    },
]
EVENTS = (
    b'{"Type":"network","Action":"create","Actor":{"ID":"abc","Attributes":{"type":"bridge","name":"web"}},'
    b'"scope":"local","time":1714557600,"timeNano":1714557600123456789}\n'
    b'{"Type":"volume","Action":"x","Actor":{"ID":"v","Attributes":{}},"scope":"local","time":1714557600,'
    b'"timeNano":1714557600000000000}\n'
)
PULL = (
    b'{"status":"Pulling from library/busybox","id":"latest"}\r\n'
    b'{"status":"Pulling fs layer","progressDetail":{},"id":"aaa"}\r\n'
    b'{"status":"Downloading","progressDetail":{"current":10,"total":100},"progress":"[=> ]","id":"aaa"}\r\n'
    b'{"status":"Pull complete","progressDetail":{},"id":"aaa"}\r\n'
    b'{"status":"Digest: sha256:abc"}\r\n'
)


def frame(number: int, data: bytes) -> bytes:
    """One frame of a multiplexed stream."""
    return bytes([number, 0, 0, 0]) + struct.pack(">I", len(data)) + data


def _created(request: Request) -> Any:
    if request.body["Image"] == "conflict":
        return Error(409, "conflicting options: port publishing and the container type network mode")
    host = request.body["HostConfig"].get("NetworkMode") == "host"
    return {
        "Id": ID,
        "Warnings": ["Published ports are discarded when using host network mode"] if host else [],
    }


USAGE: dict[str, Any] = {
    "LayersSize": 5000,
    "Images": [
        {"Id": "sha256:" + "a" * 64, "Size": 3000, "SharedSize": 1000, "Containers": 1, "RepoTags": ["a:1"]},
        {"Id": "sha256:" + "b" * 64, "Size": 3000, "SharedSize": -1, "Containers": 1, "RepoTags": ["b:1"]},
        {"Id": "sha256:" + "c" * 64, "Size": 1000, "SharedSize": 0, "Containers": 0, "RepoTags": ["c:1"]},
    ],
    "Containers": [],
    "Volumes": [],
    "BuildCache": [],
}
NO_CONTAINER = Error(404, "No such container: nosuch")
NO_IMAGE = Error(404, "No such image: nosuch:latest")
NO_NETWORK = Error(404, "network nosuch not found")
NO_VOLUME = Error(404, "get nosuch: no such volume")
OUTPUT = Upgrade(frame(1, b"out\n") + frame(2, b"err\n"))

STATS: dict[str, Any] = {
    "name": "/web",
    "id": ID,
    "read": "2024-05-01T10:00:01Z",
    "preread": "2024-05-01T10:00:00Z",
    "pids_stats": {"current": 3},
    "blkio_stats": {
        "io_service_bytes_recursive": [
            {"major": 8, "minor": 0, "op": "Read", "value": 12_345_678},
            {"major": 8, "minor": 0, "op": "write", "value": 4096},
            {"major": 8, "minor": 0, "op": "total", "value": 99},
        ]
    },
    "cpu_stats": {
        "cpu_usage": {"total_usage": 500_000_000},
        "system_cpu_usage": 12_000_000_000,
        "online_cpus": 2,
    },
    "precpu_stats": {
        "cpu_usage": {"total_usage": 123_456_789},
        "system_cpu_usage": 10_000_000_000,
        "online_cpus": 2,
    },
    "memory_stats": {
        "usage": 5_000_000,
        "limit": 8_000_000_000,
        "stats": {"total_inactive_file": 1_000_000, "inactive_file": 7},
    },
    "networks": {
        "eth0": {"rx_bytes": 1500, "tx_bytes": 200},
        "eth1": {"rx_bytes": 1_000_000, "tx_bytes": 1},
    },
}
ROUTES: Routes = {
    ("GET", "/networks"): NETWORKS,
    ("GET", "/networks/web10"): NETWORKS[0],
    ("GET", "/networks/web2"): NETWORKS[1],
    ("GET", "/networks/*"): NO_NETWORK,
    ("POST", "/networks/create"): {"Id": ID, "Warning": ""},
    ("POST", "/networks/*/connect"): Raw(),
    ("POST", "/networks/*/disconnect"): Raw(),
    ("DELETE", "/networks/web10"): None,
    ("DELETE", "/networks/*"): NO_NETWORK,
    ("POST", "/networks/prune"): {"NetworksDeleted": ["a", "b"]},
    ("GET", "/containers/json"): CONTAINERS,
    ("GET", "/containers/web/json"): CONTAINER,
    ("GET", f"/containers/{ID}/json"): CONTAINER,
    ("GET", "/containers/*/json"): NO_CONTAINER,
    ("GET", "/containers/stopped/json"): CONTAINER | {"State": {"Running": False}},
    ("GET", "/containers/paused/json"): CONTAINER | {"State": {"Running": True, "Paused": True}},
    ("GET", "/system/df"): USAGE,
    ("POST", "/containers/create"): _created,
    ("POST", "/containers/*/attach"): OUTPUT,
    ("POST", "/containers/*/start"): None,
    ("POST", "/containers/*/wait"): {"StatusCode": 3},
    ("POST", "/containers/nosuch/start"): NO_CONTAINER,
    ("POST", "/containers/nosuch/wait"): NO_CONTAINER,
    ("POST", "/containers/*/stop"): None,
    ("POST", "/containers/nosuch/stop"): NO_CONTAINER,
    ("POST", "/containers/*/restart"): None,
    ("POST", "/containers/*/kill"): None,
    ("POST", "/containers/*/pause"): None,
    ("POST", "/containers/*/unpause"): None,
    ("POST", "/containers/*/rename"): None,
    ("POST", "/containers/*/update"): {"Warnings": ["Be careful.", "Be very careful."]},
    ("POST", "/containers/nosuch/update"): NO_CONTAINER,
    ("POST", "/containers/nosuch/rename"): NO_CONTAINER,
    ("POST", "/containers/*/exec"): {"Id": "e1"},
    ("POST", "/exec/*/start"): OUTPUT,
    ("GET", "/exec/*/json"): {"ID": "e1", "ExitCode": 7, "Running": False},
    ("DELETE", "/containers/*"): None,
    ("DELETE", "/containers/nosuch"): NO_CONTAINER,
    ("GET", "/containers/*/logs"): Raw(
        frame(1, b"l1\n") + frame(2, b"l2\n"), "application/vnd.docker.raw-stream"
    ),
    ("GET", "/containers/web/stats"): STATS,
    ("GET", "/containers/*/stats"): {"name": "/idle", "id": OTHER, "read": "0001-01-01T00:00:00Z"},
    ("GET", "/containers/nosuch/stats"): NO_CONTAINER,
    ("GET", "/containers/nosuch2/stats"): NO_CONTAINER,
    ("HEAD", "/containers/*/archive"): Error(404, "Could not find the file /nope in container web"),
    ("GET", "/containers/*/archive"): Error(404, "Could not find the file /nope in container web"),
    ("PUT", "/containers/*/archive"): Error(404, "Could not find the file /nope in container web"),
    ("GET", "/containers/*/changes"): [{"Path": "/a", "Kind": 0}, {"Path": "/b", "Kind": 1}],
    ("GET", "/containers/*/top"): {"Titles": ["PID", "CMD"], "Processes": [["1", "sh -c something long"]]},
    ("POST", "/containers/prune"): {"ContainersDeleted": ["a"], "SpaceReclaimed": 1234},
    ("GET", "/images/json"): IMAGES,
    ("GET", "/images/nginx/json"): {"Id": f"sha256:{ID}", "RepoTags": ["nginx:latest"], "Size": 5},
    ("GET", "/images/*/json"): NO_IMAGE,
    ("GET", "/images/nginx/history"): HISTORY,
    ("GET", "/images/*/history"): NO_IMAGE,
    ("DELETE", "/images/nginx"): [{"Untagged": "nginx:latest"}, {"Deleted": "sha256:1"}],
    ("DELETE", "/images/*"): NO_IMAGE,
    ("POST", "/images/*/tag"): Raw(),
    ("POST", "/images/create"): Raw(PULL, "application/json"),
    ("POST", "/images/load"): Raw(b'{"stream":"Loaded image: busybox\\n"}\n', "application/json"),
    ("GET", "/images/get"): Raw(b"tarball", "application/x-tar"),
    ("POST", "/images/prune"): {"ImagesDeleted": [{"Untagged": "x:y"}], "SpaceReclaimed": 0},
    ("POST", "/commit"): {"Id": f"sha256:{ID}"},
    ("GET", "/volumes"): {"Volumes": VOLUMES, "Warnings": None},
    ("GET", "/volumes/v2"): VOLUMES[1],
    ("GET", "/volumes/*"): NO_VOLUME,
    ("POST", "/volumes/create"): VOLUMES[1],
    ("DELETE", "/volumes/v2"): None,
    ("DELETE", "/volumes/*"): NO_VOLUME,
    ("POST", "/volumes/prune"): {"VolumesDeleted": ["v"], "SpaceReclaimed": 99},
    ("GET", "/events"): Raw(EVENTS, "application/json"),
    ("GET", "/info"): {"OSType": "linux", "Swarm": {"LocalNodeState": "inactive"}, "ServerVersion": "28"},
    ("GET", "/version"): {"Version": "28", "ApiVersion": "1.51", "Os": "linux", "Arch": "amd64"},
}
