"""``fairway`` beside the stock ``docker``: same answers of the daemon, same output, code and requests.

Both talk to the canned engine. Output is compared byte for byte, with the program's name replaced; requests
by method, path, query and body, in which empty fields count as absent.
"""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from contract.canned_answers import ROUTES
from contract.canned_engine import CannedEngine
from daemon_host import docker_version

DOCKER = shutil.which("docker") or ""
FAIRWAY = str(Path(sys.executable).parent / "fairway")
pytestmark = pytest.mark.skipif(
    docker_version() < 28, reason="needs the docker command 28 or newer, whose texts fairway has"
)

READING = """
network ls
network ls --no-trunc -q
network ls --format '{{.Name}}: {{.Labels}} {{.CreatedAt}} {{.IPv6}} {{.Label "a"}}'
network ls --format json
network ls --format 'table {{.ID}}\\t{{.Name}}\\t{{.Label "com.x.y-z"}}'
network ls --format '{{.Foo}}'
network ls --format '{{.Name'
network ls -f driver=bridge -f label=a -f label=b
network inspect web10
network inspect -v web2
network inspect web10 nosuch
network inspect nosuch
network inspect --format json web10
network inspect -f '{{.ID}} {{.Id}} {{.IPAM.Config}} {{json .IPAM}} {{.Created}} {{.Containers}}' web10
network inspect -f '{{range .IPAM.Config}}{{.Subnet}} {{.Gateway}} {{.IPRange}}{{end}}' web10 web2
network inspect -f '{{json .}}' web10
network inspect -f 'a\\tb\\n{{range $k, $v := .Options}}{{$k}}{{"\\t"}}{{$v}}{{"\\n"}}{{end}}' web10
network inspect -f '{{.Foo}}' web10
network inspect -f '{{.Foo' web10
network inspect -f '{{range $k, $v := .Options}}{{$k}}={{$v}};{{end}}' web10
network inspect -f '{{index .Options "x"}}|{{len .Containers}}|{{.Options}}|{{.Labels.zz}}' web10
ps
ps -a --no-trunc -s
ps -l
ps -n 2 -q
ps --format '{{.Names}}|{{.Ports}}|{{.Mounts}}|{{.LocalVolumes}}|{{.Networks}}|{{.Size}}|{{.Platform}}'
ps --format json
ps --format 'table {{.ID}}\\t{{.Ports}}'
ps --format '{{.Foo'
ps --format '{{.Foo}}'
container ls -f name=web
images
images --digests --no-trunc
images -q nginx
images --format '{{.Repository}}:{{.Tag}} {{.CreatedSince}} {{.CreatedAt}} {{.Size}} {{.Containers}}'
images --format json
images -a -f dangling=true
history nginx
history --no-trunc -H=false nginx
history --format json nginx
history nosuch
volume ls
volume ls -q
volume ls --format '{{.Name}} {{.Mountpoint}} {{.Labels}} {{.Scope}} {{.Size}}'
volume ls --format json
volume inspect v2
volume inspect nosuch
port web
port web 80
port web 80/udp
port web x
port nosuch
inspect web
inspect -s web
inspect --type network web10
inspect -f '{{.Id}} {{.ID}} {{.NetworkSettings.IPAddress}} {{.State.Health}}' web
inspect -f '{{if .State.Health}}h{{else}}none{{end}} {{.Config.Env}} {{.Config.Healthcheck}}' web
inspect -f '{{.State.Foo}}' web
inspect -f '{{range $p, $c := .NetworkSettings.Ports}}{{$p}} -> {{(index $c 0).HostPort}}{{end}}' web
inspect -f '{{json .NetworkSettings.Ports}} {{json .Config}}' web
inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}} {{.Aliases}}{{end}}' web
inspect -f '{{.HostConfig.PortBindings}} {{.NetworkSettings.Ports}} {{.Mounts}}' web
inspect -f '{{.Config.ExposedPorts}} {{.NetworkSettings.Networks.web.Aliases}}' web
inspect -f '{{printf "%d %s %q %v %t" 1 "a" "b" .Args true}} {{len "abc"}} {{not true}} {{html "<a>"}}' web
inspect -f '{{lt 1 2}} {{ge "b" "a"}} {{eq 1 2 1}} {{ne 1 "a"}}' web
inspect -f '{{slice .Id 0 4}} {{index .Args 0}} {{index .Args 9}}' web
inspect -f '{{.Id}} {{- "x" -}} {{.Name}}' web
inspect -f '{{.Id | nosuch}}' web
inspect -f '{{if .Id}}' web
inspect -f '{{end}}' web
inspect -f '{{"x' web
inspect -f '{{$x}}' web
image inspect nginx
image inspect -f '{{json .}}' nginx
image inspect -f '{{.Config.Cmd}} {{.Config.Labels}} {{.Config.Env}} {{.Config.User}}' nginx
image inspect nosuch
events --since 1 --until 2
events --format '{{.Type}} {{.Actor.ID}} {{.Actor.Attributes.name}} {{.ID}} {{.Time}}'
events --format json -f type=network
events --format '{{.Foo'
info -f '{{.Swarm.LocalNodeState}} {{.ServerVersion}} {{.OSType}}'
info -f '{{.Foo}}'
version -f '{{.Server.Version}} {{.Server.APIVersion}} {{.Server.Os}}'
version -f '{{.Server.Foo}}'
top web -ef
diff web
logs -t -n 3 web
logs --since foo web
events --since foo
help foo
system df
system df -v
logs nosuch
stats --no-stream web
stats --no-stream --no-trunc web
stats --no-stream web nosuch nosuch2
stats --no-stream --format json web
stats --no-stream --format 'table {{.Container}}\\t{{.CPUPerc}}\\t{{.PIDs}}' web idle
stats --no-stream --format '{{.Foo}}' web
stats --no-stream --format '{{.Foo' web
"""
CHANGING = """
network create --subnet 10.0.0.0/24 --ip-range 10.0.0.128/25 --gateway 10.0.0.1 -o x=y n
network create --subnet 10.0.0.0/24 --aux-address a=10.0.0.5 n
network create --label l=1 --internal --attachable -d bridge --ipv6 --subnet fd00::/64 --ipam-opt a=b n
network create --ipv4=false n
network create --subnet zz n
network create --subnet 10.0.0.0/24 --subnet 10.0.0.0/16 n
network create --gateway 10.0.0.1 n
network create --subnet 10.0.0.0/24 --gateway 10.1.0.1 n
network connect --alias a,b --ip 1.2.3.4 --ip6 ::1 --link x:y --link-local-ip 169.254.1.1 web10 c
network connect --driver-opt a=b web10 c
network connect --gw-priority 5 web10 c
network disconnect -f web10 c
network prune -f --filter until=5m
container prune -f
image prune -a -f
volume prune -a -f
volume create --label a=b -o x=y -d local v2
volume rm v2 nosuch
rmi nginx nosuch
rmi -f nosuch
tag nginx foo:bar
tag nginx Foo:bar
tag nginx 'A b'
tag nginx 'a b'
tag nginx Foo/Bar
system prune -f --volumes --filter until=1h
pull busybox
pull -q registry:5000/x/y:v1
pull BUSY
commit -m msg -a me -c 'CMD x' -p=false web foo:bar
save nginx
import -c 'CMD x' -m hi /etc/hostname foo
start web nosuch
start -a web
stop -t 3 -s INT web nosuch
stop --time 3 web
restart -t 1 web
kill -s HUP web
rm -f -v web nosuch
rm nosuch
rename a b
rename nosuch b
update --cpus 1.5 -c 3 --cpuset-cpus 0-1 -m 64m --memory-swap -1 --memory-reservation 5m --pids-limit 9 web
update --restart on-failure:3 --blkio-weight 100 --cpu-period 5000 --cpu-quota 2000 web nosuch
update --restart on-failure:x web
update web
attach stopped
attach paused
wait web b
exec web ls -l
exec nosuch ls
attach web
attach nosuch
create -it --name x busybox sh
create conflict
create -p abc x
"""
RUNNING = """
run busybox true
run -it busybox sh
run --rm --name n1 -e HOME --net web --network-alias al --ip 10.0.0.5 -l a=b -h hh busybox x -y
run -d -p 80:80 -p 127.0.0.1:90-92:90-92/udp -p 443 -P --expose 22-23 --expose 53/udp x
run -d -p 80-81:8080 -p 8000-8001:80-81 -p [::1]:5:6 -p published=8,target=9 -p 0:1 -p 2: -p 3/TCP x
run -d --net=host -p 80:80 busybox
run -d conflict
run -d --cpus 1.5 -m 64m --memory-swap -1 --pids-limit 10 --ulimit nofile=1:2 --ulimit core=-1 --shm-size 1m x
run -d --sysctl net.ipv4.ip_forward=1 --cap-add net_admin --cap-add ALL --cap-drop chown x
run -d --privileged --read-only x
run -d --security-opt seccomp=unconfined --security-opt no-new-privileges --tmpfs /t:size=1m --tmpfs /u x
run -d -v /a:/b:ro -v /anon --volumes-from c --volume-driver d x
run -d -v ./rel:/r x
run -d --mount type=bind,src=/a,dst=/b,ro --mount type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=1777 x
run -d --mount src=v,dst=/v,volume-nocopy x
run -d --network name=web,alias=x,ip=10.0.0.9,mac-address=02:42:00:00:00:01,gw-priority=3 --net app x
run -d --network name=web,driver-opt=a=b x
run -d --link db:d --net web x
run -d --link db x
run -d --mac-address 02:42:00:00:00:01 --link-local-ip 169.254.0.1 --ip6 fd00::1 --net web x
run -d --dns 1.1.1.1 --dns-search x.y --dns-option ndots:1 --add-host a:1.2.3.4 --add-host b=host-gateway x
run -d --restart on-failure:3 --stop-signal INT --stop-timeout 5 --init --entrypoint /x -w /w -u 1:2 x a b
run -d --group-add 3 --domainname d --pid host --ipc private --uts host --userns host --cgroupns private x
run -d --cgroup-parent cp --runtime crun --annotation a=b --log-driver none --isolation default x
run -d --entrypoint '' busybox a
run -d --health-cmd 'x y' --health-interval 5s --health-retries 3 x
run -d --health-cmd x --health-timeout 1m --health-start-period 1s x
run -d --no-healthcheck x
run -d --device /dev/null --device /dev/zero:/dev/z:r --device-cgroup-rule 'c 1:3 rwm' --gpus all x
run -d --blkio-weight 10 --blkio-weight-device /dev/sda:20 --device-read-bps /dev/sda:1mb --oom-score-adj 5 x
run -d --cpu-shares 5 --cpuset-cpus 0 --cpu-period 5 --memory-reservation 5m --memory-swappiness 3 x
run -dit --name=x -p80:80 -eA=b x
run -d --label-file /etc/hostname --env-file /etc/hostname x
run --pull always -d busybox
run --platform linux/amd64 -d busybox
run -d --net container:web x
run -d --net bridge --network-alias z x
run -d --net web --net web x
run -d --net web --net host x
run -d --net name=web,ip=1.2.3.5 --ip 1.2.3.4 x
run -d --network alias=x x
run -d --network name=web,foo=1 x
run -d -a stdin x
run -d --rm --restart always x
run -d --restart :3 x
run -d --restart a:b x
run -d --pull foo x
run -d --pid foo x
run -d --mac-address zz x
run -d --cidfile /etc/passwd x
run -d --env-file /nonexist x
run -d --security-opt foo x
run -d --device foo:bar:baz x
run -d --log-driver none --log-opt a=b x
run -d --memory-swappiness 300 x
run -d --no-healthcheck --health-cmd x x
run -d -p 1-2:1-3 x
run -d -p abc x
run -d -p 80:abc x
run -d -p 99999:1 x
run -d -p 80:80/foo x
run -d -p 1.2.3:1:2 x
run -d -p : x
run -d --expose abc x
run -d --expose 1:2 x
"""
REFUSED = """
network create
network create a b
network foo
network rm
network create --foo x
network create --internal=zz x
network create --driver
network ls extra
network ls -f foo
foo
--foo
-x
run
run -x
run --name
run -m zz x
run --cpus zz x
run --memory-swap 1z x
run --ulimit foo x
run --ulimit nofile=5:3 x
run --sysctl x
run --link '' x
run --dns foo x
run --add-host foo x
run -e = x
run --mount foo x
run --mount type=bind,src=/a x
run --mount type=bind,src=/a,dst=/b,foo=bar x
run --mount type=volume,dst=/b,bind-propagation=shared x
run --health-interval 5 x
run --device-cgroup-rule foo x
run --gpus x x
run --blkio-weight zz x
run --dns-search 'a b' x
ps -n z
cp a
cp a b
cp web:a web:b
cp '' web:/
cp web:/x ''
cp ./a:b /c
cp /nope web:/
cp - web:/nope
cp web:/nope .
cp web:/x /nope/y/z
cp web:/x /dev/null
cp -x web:/x y
stats -x
stop -t z x
exec web
exec -u
kill
inspect
network
"""
HELP = """
network
network create
network connect
network disconnect
network inspect
network ls
network prune
network rm
attach
cp
diff
exec
history
image rm
info
inspect
kill
load
logs
pause
port
ps
pull
rename
restart
rm
rmi
save
stats
stop
tag
top
unpause
version
wait
container inspect
container ls
container prune
container rm
image prune
image inspect
system events
system info
volume inspect
volume prune
volume rm
"""


class Outcome(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str
    requests: list[tuple[str, str, dict[str, list[str]], Any]]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CannedEngine]:
    with CannedEngine(tmp_path_factory.mktemp("engine") / "s", ROUTES) as running:
        yield running


def commands(text: str) -> list[str]:
    return [line for line in text.splitlines() if line]


def outcome(engine: CannedEngine, program: str, command: str, home: Path) -> Outcome:
    """Run it; texts with the program's name as ``PROGRAM``, requests without empty fields and probes."""
    engine.requests.clear()
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "DOCKER_HOST": engine.host}
    words = [program, *shlex.split(command)]
    done = subprocess.run(
        words, env=environment, input=b"", capture_output=True, cwd=home, timeout=60, check=False
    )
    requests = [
        (r.method, r.path, r.query, filled(r.body))
        for r in engine.requests
        if r.path not in ("/_ping", "/info")
    ]
    return Outcome(done.returncode, neutral(done.stdout), neutral(done.stderr), requests)


def neutral(text: bytes) -> str:
    found = text.decode()
    for site in ("docker.com", "docker.io", "Dockerfile"):
        found = found.replace(site, f"<{site[0]}{site[1:].replace('ocker', '')}>")
    for name in ("docker", "fairway", "Docker", "Fairway"):
        found = found.replace(name, "PROGRAM")
    return found


def filled(value: Any) -> Any:
    """Without empty fields: leaving one out and sending it empty mean the same."""
    if isinstance(value, dict):
        pruned = {key: filled(item) for key, item in value.items()}
        return {key: item for key, item in pruned.items() if item not in (None, "", 0, [], {}, False)}
    return [filled(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("command", commands(READING + REFUSED))
def test_prints_and_ends_as_docker(engine: CannedEngine, command: str, tmp_path: Path) -> None:
    assert outcome(engine, FAIRWAY, command, tmp_path)[:3] == outcome(engine, DOCKER, command, tmp_path)[:3]


@pytest.mark.parametrize("command", commands(CHANGING + RUNNING))
def test_asks_for_the_same_changes(engine: CannedEngine, command: str, tmp_path: Path) -> None:
    ours, theirs = (outcome(engine, program, command, tmp_path) for program in (FAIRWAY, DOCKER))
    assert ours[:3] == theirs[:3]
    assert changes(ours) == changes(theirs)


def changes(done: Outcome) -> list[str]:
    """Requests that change something, in no order, as Docker sends some of them at the same time.

    Waiting is left out: Docker waits for detached containers, too, without ever looking at the answer.
    """
    return sorted(
        repr((method, path, query, [body]))
        for method, path, query, body in map(_ordered, done.requests)
        if method != "GET" and not path.endswith("/wait")
    )


def _ordered(request: tuple[str, str, dict[str, list[str]], Any]) -> tuple[str, str, Any, Any]:
    method, path, query, body = request
    return method, path, sorted(query.items()), _sorted_keys(body)


def _sorted_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted_keys(value[key]) for key in sorted(value)}
    return [_sorted_keys(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("command", commands(HELP))
def test_explains_itself_as_docker(engine: CannedEngine, command: str, tmp_path: Path) -> None:
    ours, theirs = (outcome(engine, program, f"{command} --help", tmp_path) for program in (FAIRWAY, DOCKER))
    assert ours[:3] == theirs[:3]


def test_an_unreachable_daemon_is_named(tmp_path: Path) -> None:
    done = subprocess.run(
        [FAIRWAY, "-H", f"unix://{tmp_path}/none", "ps"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr == (
        f"Cannot connect to the Fairway daemon at unix://{tmp_path}/none. Is fairwayd running?\n"
    )
