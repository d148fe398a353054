"""Who a process runs as: ``user[:group]`` by name or number, looked up in the image's own passwd and group
files.

The rules are those of moby's ``sys/user`` (``GetExecUser``): a name must be in the file; a number need not
be. A user that is in the file brings its main group, its home and, unless a group was given, the groups it
is a member of.
"""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from fairway.model.errors import InvalidParameter
from fairway.model.number import decimal
from fairway.runtime.rootfs import read_text

_HIGHEST = (1 << 31) - 1


class User(msgspec.Struct, frozen=True, kw_only=True):
    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()
    """Additional groups."""
    home: str = "/"


class _Account(msgspec.Struct, frozen=True):
    name: str
    uid: int
    gid: int
    home: str


class _Group(msgspec.Struct, frozen=True):
    name: str
    gid: int
    members: tuple[str, ...]


def look_up(root: str, spec: str, additional: Sequence[str] = ()) -> User:
    """Resolve ``spec`` inside the root file system at ``root``; ``additional`` are ``--group-add``."""
    return resolve(spec, read_text(root, "/etc/passwd"), read_text(root, "/etc/group"), additional)


def resolve(spec: str, passwd: str, group: str, additional: Sequence[str] = ()) -> User:
    """Resolve ``spec`` (empty: uid 0) against the files' contents. Raises InvalidParameter."""
    user, _, group_spec = spec.partition(":")
    account = _account(user or "0", list(_accounts(passwd)))
    groups = list(_groups(group))
    gid, member_of = account.gid, [g.gid for g in groups if account.name and account.name in g.members]
    if group_spec:
        gid, member_of = _gid(group_spec, groups), []
    added = [_gid(name, groups, "Unable to find group {}") for name in additional]
    return User(uid=account.uid, gid=gid, groups=(*member_of, *added), home=account.home or "/")


def _account(user: str, accounts: Sequence[_Account]) -> _Account:
    number = _number(user)
    for account in accounts:
        if account.name == user or (number is not None and account.uid == number):
            return account
    if number is None:
        raise InvalidParameter(f"unable to find user {user}: no matching entries in passwd file")
    return _Account("", number, 0, "/")


def _gid(
    name: str,
    groups: Iterable[_Group],
    missing: str = "unable to find group {}: no matching entries in group file",
) -> int:
    number = _number(name)
    for group in groups:
        if group.name == name or (number is not None and group.gid == number):
            return group.gid
    if number is None:
        raise InvalidParameter(missing.format(name))
    return number


def _number(text: str) -> int | None:
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        return None
    value = decimal(text, _HIGHEST)
    if value is None:
        raise InvalidParameter(f"uids and gids must be in range 0-{_HIGHEST}")
    return value


def _accounts(text: str) -> Iterator[_Account]:
    """passwd(5); malformed lines are skipped, as the C library does."""
    for fields in _lines(text):
        uid, gid = (decimal(field, _HIGHEST) for field in fields[2:4]) if len(fields) >= 6 else (None, None)
        if uid is not None and gid is not None:
            yield _Account(fields[0], uid, gid, fields[5])


def _groups(text: str) -> Iterator[_Group]:
    """group(5)."""
    for fields in _lines(text):
        gid = decimal(fields[2], _HIGHEST) if len(fields) >= 4 else None
        if gid is not None:
            yield _Group(fields[0], gid, tuple(fields[3].split(",")))


def _lines(text: str) -> Iterator[list[str]]:
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            yield line.strip().split(":")
