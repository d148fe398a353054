"""``image rm`` and ``image tag``."""

from __future__ import annotations

from fairway.api.client import ApiError, Query, quote
from fairway.cli.command import SOME, TWO, Command, Invocation
from fairway.cli.exits import FAILED, OK, Exit, describe
from fairway.cli.flags import Flag
from fairway.cli.kinds import BOOL, STRINGS
from fairway.cli.reference import Reference
from fairway.model.errors import InvalidParameter


def _rm(given: Invocation) -> int:
    options = given.options
    query: Query = {
        "force": options.flag("force"),
        "noprune": options.flag("no-prune"),
        "platforms": options.items("platform"),
    }
    problems, fatal = [], False
    for name in given.args:
        path = f"/images/{quote(name).replace('%2F', '/')}"
        try:
            for change in given.client.delete(path, query) or ():
                for verb in ("Deleted", "Untagged"):
                    if verb in change:
                        given.line(f"{verb}: {change[verb]}")
        except ApiError as error:
            fatal = fatal or error.status != 404
            problems.append(describe(error))
    if problems and (fatal or not options.flag("force")):
        raise Exit(FAILED, "\n".join(problems))
    for problem in problems:
        given.warn(problem)
    return OK


def _tag(given: Invocation) -> int:
    source, target = given.args
    try:
        reference = Reference.require(target)
    except InvalidParameter as error:
        text = f'Error parsing reference: "{target}" is not a valid repository/tag: {error.message}'
        raise Exit(FAILED, text) from error
    query = {"repo": reference.name, "tag": reference.tag}
    given.client.request("POST", f"/images/{quote(source).replace('%2F', '/')}/tag", query).read()
    return OK


RM = Command(
    _rm,
    "[OPTIONS] IMAGE [IMAGE...]",
    "Remove one or more images",
    SOME,
    (
        Flag("force", BOOL, "Force removal of the image", short="f"),
        Flag("no-prune", BOOL, "Do not delete untagged parents"),
        Flag(
            "platform",
            STRINGS,
            'Remove only the given platform variant. Formatted as "os[/arch[/variant]]"'
            ' (e.g., "linux/amd64")',
        ),
    ),
    complete="images",
)
TAG = Command(
    _tag,
    "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
    "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE",
    TWO,
    complete="images",
)
