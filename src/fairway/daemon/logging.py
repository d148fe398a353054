"""The daemon's log: logfmt on standard error, one line per event, for the journal to collect.

Messages of libraries that use the standard library's logging take the same form. The level can be changed
while running.
"""

import logging
import sys

import structlog

_NAMES = {"warn": "warning", "fatal": "critical"}


def set_up(level: str) -> None:
    """``level`` is debug, info, warn, error or fatal."""
    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.format_exc_info,
        structlog.processors.EventRenamer("msg"),
    ]
    renderer = structlog.processors.LogfmtRenderer(key_order=["time", "level", "msg"], bool_as_flag=False)
    number = logging.getLevelName(_NAMES.get(level, level).upper())
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
            foreign_pre_chain=shared,
        )
    )
    logging.basicConfig(level=max(number, logging.WARNING), handlers=[handler], force=True)
