"""Error kinds. Each is mapped to an HTTP status in ``api/errors.py`` and to an exit code in ``cli/``.

``Fault``
├── ``InvalidParameter``   the request itself is wrong                           400
├── ``Forbidden``          understood, but not allowed on this object            403
├── ``NotFound``           the object named does not exist                       404
├── ``Conflict``           the object's state, or another object, is in the way  409
├── ``NotModified``        the object is already as asked                        304
├── ``System``             the kernel, a program or the disk failed              500
├── ``Unsupported``        documented by Docker's API, not offered here          501
└── ``Unavailable``        needs something that is not there now (e.g. a swarm)  503
"""


class Fault(Exception):
    """An error with a text for the user, worded as Docker words it where Docker has one."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidParameter(Fault):
    """The request itself is wrong: a value out of range, malformed, or contradicting another one."""


class Forbidden(Fault):
    """The operation is never allowed on this object, e.g. removing a predefined network."""


class NotFound(Fault):
    """No such network, container, image, volume, exec instance."""


class Conflict(Fault):
    """A name or address in use, or a state that does not allow the operation."""


class NotModified(Fault):
    """Nothing to do: the container is already started, or already stopped."""


class System(Fault):
    """The kernel, a helper program or the disk refused."""


class Unsupported(Fault):
    """The endpoint or option exists in Docker's API and is not offered by this engine."""


class Unavailable(Fault):
    """Something needed is not there at the moment, e.g. membership in a swarm."""
