"""``commit``: an image of a container's file system."""

from __future__ import annotations

from fairway.cli.command import Arity, Command, Invocation
from fairway.cli.exits import OK
from fairway.cli.flags import Flag
from fairway.cli.kinds import BOOL, LIST, STRING
from fairway.cli.reference import Reference


def _commit(given: Invocation) -> int:
    options = given.options
    repository, tag = "", ""
    if len(given.args) > 1 and given.args[1]:
        reference = Reference.require(given.args[1])
        repository, tag = reference.name, reference.tag
    query = {
        "container": given.args[0],
        "repo": repository,
        "tag": tag,
        "comment": options.text("message"),
        "author": options.text("author"),
        "changes": options.items("change"),
        "pause": None if options.flag("pause") else "0",
    }
    given.line(given.client.post("/commit", query)["Id"])
    return OK


COMMIT = Command(
    _commit,
    "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
    "Create a new image from a container's changes",
    Arity(1, 2),
    (
        Flag("author", STRING, 'Author (e.g., "John Hannibal Smith <hannibal@a-team.com>")', short="a"),
        Flag("change", LIST, "Apply Dockerfile instruction to the created image", short="c"),
        Flag("message", STRING, "Commit message", short="m"),
        Flag("pause", BOOL, "Pause container during commit", short="p", default=True),
    ),
    complete="containers",
)
