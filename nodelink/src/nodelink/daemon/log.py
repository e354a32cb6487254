"""Log as JSON lines on stdout; the service manager keeps them."""

import logging
import sys

import structlog
from structlog.tracebacks import ExceptionDictTransformer

from nodelink.daemon.settings import LogLevel

# Local variables would put passwords and messages into the log.
WITHOUT_LOCALS = ExceptionDictTransformer(show_locals=False)


def set_up_log(level: LogLevel) -> None:
    """Send structlog and the standard library's loggers to stdout, one JSON object a line."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso"),
        structlog.processors.ExceptionRenderer(WITHOUT_LOCALS),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
            foreign_pre_chain=shared,
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # It tells of every request, and in its URL to whom, and sometimes by which secret.
    logging.getLogger("httpx").setLevel(logging.WARNING)
