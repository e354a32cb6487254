"""An exchanger on loopback, by TLS: it keeps mail for others, and gives it to whoever shows its token."""

import asyncio
from base64 import b64encode
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from mailnode.http.protocol import HttpServer
from nodelink.daemon.tls import ServerCertificate
from support.peering_site import PeerWorld, find_free_port, next_address

TOKEN = "a token of the exchanger"


@dataclass
class Exchanger:
    """It knows `/pull` and its acknowledgement, or `/me/full` as Madmail's own does."""

    has_pull: bool = True
    messages: list[dict[str, object]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    status: int = 200
    content: bytes | None = None
    address: str = field(default_factory=next_address)
    port: int = field(default_factory=find_free_port)

    @property
    def url(self) -> str:
        return f"https://{self.address}:{self.port}"

    def leave(self, id_: str, message: bytes, *recipients: str, mail_from: str) -> None:
        """Leave a message with it."""
        body = b64encode(message).decode()
        self.messages.append({"id": id_, "from": mail_from, "to": [*recipients], "size": 1, "body": body})

    async def start(self, world: PeerWorld, stack: AsyncExitStack) -> None:
        app = FastAPI()
        app.add_api_route("/pull", self._pull, methods=["GET"])
        app.add_api_route("/pull/ack", self._acknowledge, methods=["POST"])
        app.add_api_route("/me/full", self._show_all, methods=["GET"])
        http = HttpServer(app)
        tls = ServerCertificate(*world.certify(self.address)).build_context()
        server = await asyncio.get_running_loop().create_server(
            http.build_protocol, self.address, self.port, ssl=tls
        )
        stack.callback(server.close)
        await http.start(stack)

    async def _pull(self, request: Request, domain: str) -> Response:
        return (
            self._answer(request, f"pull {domain}", self.messages)
            if self.has_pull
            else Response(status_code=404)
        )

    async def _show_all(self, request: Request) -> Response:
        return self._answer(request, "full", {"hash": "x", "count": 1, "messages": self.messages})

    async def _acknowledge(self, request: Request) -> Response:
        ids = (await request.json())["ids"]
        self.acknowledged += ids
        self.messages = [each for each in self.messages if each["id"] not in ids]
        return self._answer(request, "ack", {})

    def _answer(self, request: Request, what: str, content: object) -> Response:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return Response(status_code=401)
        self.asked.append(what)
        if self.content is not None:
            return Response(self.content)
        return JSONResponse(content, self.status)
