"""What all verbs share: the state and the neighbours, passed as one value."""

import asyncio
from dataclasses import dataclass, field

import structlog

from fairway.engine.events import Events
from fairway.engine.identity import Identity
from fairway.engine.locks import Locks
from fairway.engine.protocols import Clock, Files, Images, Kernel, Resolver, Runtime
from fairway.engine.settings import Settings
from fairway.engine.state import State
from fairway.ipam import Ipam


@dataclass(frozen=True, slots=True)
class Core:
    """Handed to each group of verbs; holds no logic."""

    settings: Settings
    state: State
    ipam: Ipam
    kernel: Kernel
    resolver: Resolver
    runtime: Runtime
    images: Images
    files: Files
    clock: Clock
    identity: Identity
    events: Events
    locks: Locks = field(default_factory=Locks)
    doubt: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the kernel may not be as the state says: something could not be undone, or taken back."""
    log: structlog.stdlib.BoundLogger = field(default_factory=structlog.get_logger)
