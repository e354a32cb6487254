"""Real Delta Chat clients: deltachat-rpc-server as it is, driven over its JSON-RPC.

For: lab tests. Works with the oldest and the newest core that we care for, so it uses only what both have.
"""

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty
from typing import Any

from deltachat_rpc_client.rpc import JsonRpcError, Rpc

__all__ = ["Client", "Event", "JsonRpcError", "open_core"]

SOON_SECONDS = 60
JOINED = 1000

Event = dict[str, Any]


@dataclass
class Client:
    """One account on one device."""

    rpc: Any
    account: int
    seen: list[Event] = field(default_factory=list)

    def configure_by_qr(self, qr: str) -> None:
        """Set the account up by a QR code, and go online."""
        self.rpc.add_transport_from_qr(self.account, qr)
        self.go_online()

    def configure_by_login(self, address: str, password: str, host: str) -> None:
        """Set the account up by typing address, password and server."""
        self.rpc.add_or_update_transport(
            self.account,
            {
                "addr": address,
                "password": password,
                "imapServer": host,
                "imapPort": 993,
                "imapSecurity": "ssl",
                "smtpServer": host,
                "smtpPort": 465,
                "smtpSecurity": "ssl",
                "certificateChecks": "acceptInvalidCertificates",
            },
        )
        self.go_online()

    def go_online(self) -> None:
        """Begin to listen; what arrives before a new account has first looked, core passes over."""
        self.rpc.start_io(self.account)
        self.wait_for("ImapInboxIdle")

    @property
    def address(self) -> str:
        """The account's address."""
        return str(
            self.rpc.get_config(self.account, "configured_addr") or self.rpc.get_config(self.account, "addr")
        )

    def wait_for(
        self,
        kind: str,
        matches: Callable[[Event], bool] = lambda _: True,
        within_seconds: float = SOON_SECONDS,
    ) -> Event:
        """Wait for an event; those that pass by meanwhile are gone."""
        ends_at = time.monotonic() + within_seconds
        queue = self.rpc.get_queue(self.account)
        while True:
            try:
                event: Event = queue.get(timeout=max(0.01, ends_at - time.monotonic()))
            except Empty:
                said = [str(event.get("msg", event)) for event in self.seen]
                troubles = [line for line in said if "ail" in line or "rror" in line]
                text = "\n".join(["its troubles:", *troubles[-8:], "its last events:", *said[-8:]])
                raise TimeoutError(f"no {kind} within {within_seconds} s; {text}") from None
            self.seen.append(event)
            if event["kind"] == kind and matches(event):
                return event

    def wait_for_message(self, text: str | None = None, within_seconds: float = SOON_SECONDS) -> Event:
        """Wait for a message with this text (any text for `None`) and return it."""
        while True:
            event = self.wait_for("IncomingMsg", within_seconds=within_seconds)
            message: Event = self.rpc.get_message(self.account, event["msgId"])
            if text is None or message["text"] == text:
                return message

    def wait_for_group(self, name: str) -> int:
        """Wait for a message in a group of this name; return the chat."""
        while True:
            message = self.wait_for_message()
            if self.rpc.get_basic_chat_info(self.account, message["chatId"])["name"] == name:
                return int(message["chatId"])

    def invite(self) -> str:
        """Make the QR code that others scan to get in contact."""
        return str(self.rpc.get_chat_securejoin_qr_code(self.account, None))

    def join(self, qr: str) -> int:
        """Scan a contact's QR code; return the chat, once both have verified one another."""
        chat = int(self.rpc.secure_join(self.account, qr))
        self.wait_for("SecurejoinJoinerProgress", lambda event: event["progress"] == JOINED)
        return chat

    def send(self, chat: int, text: str) -> int:
        """Send a text."""
        return int(self.rpc.misc_send_text_message(self.account, chat, text))

    def send_file(self, chat: int, file: Path, text: str) -> int:
        """Send a file."""
        data = {"file": str(file), "filename": file.name, "text": text, "viewtype": "File"}
        return int(self.rpc.send_msg(self.account, chat, data))

    def chat_with(self, address: str) -> int:
        """Find the chat with a contact that is known."""
        contact = self.rpc.lookup_contact_id_by_addr(self.account, address)
        return int(self.rpc.create_chat_by_contact_id(self.account, contact))

    def chat_with_self(self) -> int:
        """Find the chat for notes to oneself."""
        return int(self.rpc.create_chat_by_contact_id(self.account, 1))

    def accept(self, chat: int) -> None:
        """Accept a chat request."""
        self.rpc.accept_chat(self.account, chat)

    def ice_servers(self) -> list[dict[str, Any]]:
        """Ask which servers calls use."""
        servers: list[dict[str, Any]] = json.loads(self.rpc.ice_servers(self.account))
        return servers


@dataclass
class Core:
    """One running deltachat-rpc-server: a device, or several."""

    rpc: Any

    def add_client(self) -> Client:
        """Add an account that is not set up yet."""
        return Client(self.rpc, int(self.rpc.add_account()))


class SingleEventRpc(Rpc):
    """An RPC client that asks for one event at a time, as old cores know it."""

    def events_loop(self) -> None:
        """Hand each event to its account's queue, until the server has gone."""
        with suppress(JsonRpcError):
            while not self.closing:
                event = self.get_next_event()
                self.get_queue(event["contextId"]).put(event["event"])


@contextmanager
def open_core(command: Sequence[str], directory: Path) -> Iterator[Core]:
    """Run a core; `command` starts the server, for example inside a namespace."""
    environment = {**os.environ, "RUST_LOG": "error"}
    log = (directory.parent / f"{directory.name}.log").open("ab")
    with log:
        rpc = SingleEventRpc(
            accounts_dir=str(directory), rpc_server_path=list(command), env=environment, stderr=log
        )
        with rpc:
            yield Core(rpc)
        assert rpc.process.stdout is not None
        rpc.process.stdout.close()
        rpc.process.wait()
