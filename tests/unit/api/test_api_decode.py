import pytest

from fairway.api import bodies, decode, gojson
from fairway.model.container import Config, HostConfig
from fairway.model.errors import InvalidParameter


def test_keys_in_any_case_unknown_ones_and_nulls() -> None:
    request = bodies.container(
        b'{"image":"busybox","CMD":["sh"],"Env":null,"Nonsense":{"a":[1]},'
        b'"hostconfig":{"binds":null,"portBINDINGS":{"80/tcp":null},"Memory":64,"CapAdd":[null,"NET_ADMIN"]}}',
        "/web",
        "",
    )
    assert request.name == "web"
    assert request.config == Config(image="busybox", cmd=("sh",))
    assert request.host == HostConfig(port_bindings={"80/tcp": ()}, memory=64, cap_add=("", "NET_ADMIN"))


def test_keys_of_maps_keep_their_case() -> None:
    assert bodies.config({"Labels": {"Image": "x", "image": "y"}}).labels == {"Image": "x", "image": "y"}


def test_a_command_may_be_one_string() -> None:
    assert bodies.config({"Cmd": "ls", "entrypoint": "/bin/sh"}) == Config(
        cmd=("ls",), entrypoint=("/bin/sh",)
    )


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (
            b'{"Image":5}',
            "invalid JSON: json: cannot unmarshal number into Go struct field "
            "CreateRequest.Image of type string",
        ),
        (
            b'{"Image":"a","HostConfig":{"Binds":"x"}}',
            "invalid JSON: json: cannot unmarshal string into Go struct field "
            "CreateRequest.HostConfig.Binds of type []string",
        ),
        (
            b'{"Image":"a","HostConfig":{"Memory":99999999999999999999}}',
            "invalid JSON: json: cannot unmarshal number 99999999999999999999 into Go struct field "
            "CreateRequest.HostConfig.Memory of type int64",
        ),
        (b'{"Image":"a","HostConfig":{"Memory":1.5}}', "number 1.5 into Go struct field"),
        (b'{"Image":"a","Tty":1}', "number into Go struct field CreateRequest.Tty of type bool"),
        (b'{"Image":"a","Labels":{"a":1}}', "CreateRequest.Labels of type string"),
        (
            b'{"Image":"a","HostConfig":{"RestartPolicy":{"Name":"maybe"}}}',
            "invalid restart policy: unknown policy 'maybe'; "
            "use one of 'no', 'always', 'on-failure', or 'unless-stopped'",
        ),
        (b'{"Image":', "invalid JSON: unexpected EOF"),
        (b'{"Image":"a"} x', "invalid JSON: invalid character 'x' after top-level value"),
        (b"[1]", "invalid JSON: json: cannot unmarshal array into Go value"),
        (b"{}", "config cannot be empty in order to create a container"),
        (b'{"HostConfig":{}}', "config cannot be empty in order to create a container"),
        (b"", "config cannot be empty in order to create a container"),
        (b"[" * 100_000, "invalid JSON: "),
    ],
)
def test_refused_bodies(body: bytes, text: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        bodies.container(body, "", "")
    assert text in caught.value.message


def test_arrays_of_fixed_size_are_filled_up_and_cut() -> None:
    short = decode.body(b'{"Cmd":["a"],"ConsoleSize":[24]}', bodies.ExecBody, "X")
    long = decode.body(b'{"Cmd":["a"],"ConsoleSize":[24,80,9]}', bodies.ExecBody, "X")
    assert (short.console_size, long.console_size) == ((24, 0), (24, 80))


def test_network_addresses_are_parsed_and_all_faults_told() -> None:
    body = decode.body(
        b'{"Name":"n","IPAM":{"Config":[{"Subnet":"10.0.0.7/24","Gateway":"x"},{"Subnet":"fd00::/64"}]}}',
        bodies.NetworkBody,
        "CreateRequest",
    )
    with pytest.raises(InvalidParameter) as caught:
        body.request()
    lines = caught.value.message.splitlines()
    assert lines[0] == "invalid network config:"
    assert lines[1] == "invalid subnet 10.0.0.7/24: it should be 10.0.0.0/24"
    assert "'x'" in lines[2]


def test_network_request() -> None:
    body = decode.body(
        b'{"name":"n","enableipv6":true,"IPAM":{"config":[{"subnet":"10.1.0.0/16","IPRange":"10.1.2.0/24",'
        b'"Gateway":"10.1.0.1","AuxiliaryAddresses":{"router":"10.1.0.9"}}]},"ConfigFrom":null}',
        bodies.NetworkBody,
        "CreateRequest",
    )
    request = body.request()
    assert (request.driver, request.ipv4, request.ipv6) == ("bridge", None, True)
    (pool,) = request.pools
    assert (pool.subnet, pool.ip_range, pool.gateway) == ("10.1.0.0/16", "10.1.2.0/24", "10.1.0.1")
    assert pool.auxiliary == {"router": "10.1.0.9"}


def test_endpoint_settings() -> None:
    body = decode.body(
        b'{"Container":"c","EndpointConfig":{"IPAMConfig":{"IPv4Address":"10.0.0.5","LinkLocalIPs":["169.254.1.1"]},'
        b'"Aliases":["db"],"MacAddress":"02:42:AC:11:00:05","GwPriority":3}}',
        bodies.ConnectBody,
        "X",
    )
    request = body.endpoint_config.request()
    assert (request.ipv4, request.mac, request.aliases) == ("10.0.0.5", "02:42:ac:11:00:05", ("db",))
    assert (request.link_local, request.gw_priority) == (("169.254.1.1",), 3)


@pytest.mark.parametrize(
    ("ipam", "mac", "text"),
    [
        ({"IPv4Address": "fd00::1"}, "", "invalid IPv4 address: fd00::1"),
        ({"IPv6Address": "10.0.0.1"}, "", "invalid IPv6 address: 10.0.0.1"),
        ({"LinkLocalIPs": ["x"]}, "", "invalid link-local IP address: x"),
        ({}, "zz", "invalid MAC address zz"),
    ],
)
def test_bad_endpoint_settings(ipam: dict[str, object], mac: str, text: str) -> None:
    body = decode.build({"IPAMConfig": ipam, "MacAddress": mac}, bodies.EndpointBody, "X")
    with pytest.raises(InvalidParameter) as caught:
        body.request()
    assert caught.value.message == f"invalid endpoint settings:\n{text}"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a": 1,}', "invalid character '}' looking for beginning of object key string"),
        ('{"a" 1}', "invalid character '1' after object key"),
        ('{"a": 1 "b"}', "invalid character '\"' after object key:value pair"),
        ("{a: 1}", "invalid character 'a' looking for beginning of object key string"),
        ("[1 2]", "invalid character '2' after array element"),
        ("[1,]", "invalid character ']' looking for beginning of value"),
        ("nul", "unexpected end of JSON input"),
        ("nuts", "invalid character 't' in literal null (expecting 'l')"),
        ('"a\nb"', "invalid character '\\n' in string literal"),
        ('"\\x"', "invalid character 'x' in string escape code"),
        ("-x", "invalid character 'x' in numeric literal"),
        ("", "unexpected end of JSON input"),
        ('{"a": [true, null, -1.5e3, "\\u00e9"]} ', ""),
    ],
)
def test_go_words_for_broken_json(text: str, reason: str) -> None:
    assert gojson.explain(text) == reason
