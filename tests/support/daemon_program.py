"""A daemon on our chassis that does nothing but answer: what test_chassis starts as a process."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from nodelink.daemon.chassis import Chassis, run_daemon
from nodelink.daemon.listeners import listen_tcp
from nodelink.daemon.log import set_up_log
from nodelink.daemon.settings import DaemonSettings, read_settings_or_exit


class Settings(DaemonSettings):
    model_config = SettingsConfigDict(env_prefix="ECHO_")

    port: int = Field(default=7, ge=1, le=65535, description="Where to listen.")


def main() -> None:
    settings = read_settings_or_exit(Settings, None)
    set_up_log(settings.log_level)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()

    async def serve(chassis: Chassis, stack: AsyncExitStack) -> None:
        chassis.on_reload.append(lambda: Path(settings.state_directory, "reloaded").touch())
        for listener in listen_tcp(chassis.manager, "echo", ["127.0.0.1"], settings.port):
            server = await asyncio.start_server(answer, sock=listener)
            stack.callback(server.close)

    run_daemon(serve)


if __name__ == "__main__":
    main()
