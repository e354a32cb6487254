"""The daemon `controlplane`: read the settings, open the plane, serve.

Not for: commands of an operator (cli/).
"""

import argparse
import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from prometheus_client import CollectorRegistry

from controlplane.application import create_app
from controlplane.errors import AbsentDatabaseError, BadInstallationError
from controlplane.plane import Plane, open_plane
from controlplane.serving import serve_application
from controlplane.settings import ControlPlaneSettings
from nodelink.daemon.chassis import Chassis, run_daemon
from nodelink.daemon.listeners import listen_tcp
from nodelink.daemon.log import set_up_log
from nodelink.daemon.metrics import open_metrics, serve_metrics
from nodelink.daemon.plain_http_server import PlainHttpServer
from nodelink.daemon.settings import read_settings_or_exit, refuse_configuration
from nodelink.daemon.tls import ServerCertificate


async def serve(plane: Plane, chassis: Chassis, stack: AsyncExitStack) -> None:
    """Build the parts and start them on the stack."""
    settings = plane.settings
    certificate = ServerCertificate(settings.tls_certificate, settings.tls_key)
    tls = certificate.build_context(["http/1.1"])
    sockets = listen_tcp(chassis.manager, "https", settings.listen_addresses, settings.port)
    if settings.http_port is not None:
        plain = PlainHttpServer(settings.public_url, settings.acme_challenge_directory)
        listeners = listen_tcp(chassis.manager, "http", settings.listen_addresses, settings.http_port)
        await plain.start(stack, listeners)
    registry = CollectorRegistry()
    serve_metrics(stack, registry, open_metrics(chassis.manager, settings.metrics_port))
    # Up to here the configuration can be refused; a task group would wrap that refusal.
    await certificate.start(stack)
    chassis.on_reload.append(certificate.reload)
    await serve_application(stack, create_app(plane, registry=registry), sockets, tls)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the control plane of a fleet until told to stop."""
    parser = argparse.ArgumentParser(prog="controlplane", description=main.__doc__)
    parser.add_argument("--settings", metavar="FILE", type=Path, help="settings file beside the environment")
    parser.add_argument("--check", metavar="FILE", type=Path, help="only judge the settings in a file")
    options = parser.parse_args(arguments)
    settings = read_settings_or_exit(ControlPlaneSettings, options.check or options.settings)
    if options.check is not None:
        return
    set_up_log(settings.log_level)
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells at every start that there is a database
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)  # it tells the addresses of all who connect
    try:
        with open_plane(settings) as plane:
            run_daemon(lambda chassis, stack: serve(plane, chassis, stack))
    except AbsentDatabaseError as error:
        raise SystemExit(str(error)) from error  # exit code 1: systemd tries again
    except BadInstallationError as error:
        refuse_configuration(str(error))


if __name__ == "__main__":
    main()
