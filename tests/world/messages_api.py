"""The streaming Messages API on loopback: tests run the real `claude` with a scripted model.

    script = by_prompt({
        "You are the implementer": turns(write("a.txt", "hi"), bash("git add -A"), text("Done.")),
        "You are the verifier": turns(answer({"verdict": "pass", "detail": "Looks right."})),
    })
    with MessagesApi(script) as api:
        subprocess.run([claude, "-p", ...], env={**agent_env, **api.env})
    assert [request.turn for request in api.requests] == [0, 1, 2, 0]

``model_script.py`` has the scripts and replies. ``api.requests`` are all requests for a message, in
order of arrival; ``api.others`` is ``(method, path)`` of all else, a probe or a token count, which
get a 200. ``api.env`` points an agent here and asks it not to retry, so that failures show at once;
set ``CLAUDE_CODE_MAX_RETRIES`` after it for tests of retries (they wait 0.5 s, 1 s, 2 s...).
"""

import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from tests.world.model_script import Answer, Cut, Failure, Hang, Json, Reply, Request, Script

KEY = "sk-ant-scripted-0123456789"
HANGS_AT_MOST_S = 120.0


class MessagesApi:
    """The server. A context manager; ``env`` points the CLI at it."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.requests: list[Request] = []
        self.others: list[tuple[str, str]] = []
        self.released = threading.Event()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def env(self) -> dict[str, str]:
        return {
            "ANTHROPIC_BASE_URL": self.url,
            "ANTHROPIC_API_KEY": KEY,
            "CLAUDE_CODE_MAX_RETRIES": "0",
        }

    def release(self) -> None:
        """End every hanging connection, now and from now on."""
        self.released.set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, api: MessagesApi) -> None:
        self.api = api
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Quiet: a client that was killed leaves a broken pipe, and that is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *args: object) -> None:
        """Quiet: what was asked is in ``api.requests``."""

    def do_GET(self) -> None:
        self.server.api.others.append((self.command, self.path))
        self._send(200, {"data": []})

    def do_HEAD(self) -> None:
        self.server.api.others.append((self.command, self.path))
        self._send(200, None)

    def do_POST(self) -> None:
        size = int(self.headers.get("content-length", 0))
        body = self.rfile.read(size)
        if self.path.split("?")[0] != "/v1/messages":
            self.server.api.others.append((self.command, self.path))
            self._send(200, {"input_tokens": 10})
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(headers, json.loads(body))
        self.server.api.requests.append(request)
        self._act(request, self.server.api.script(request))

    def _act(self, request: Request, reply: Answer) -> None:
        match reply:
            case Failure(status, kind, message, headers):
                error = {"type": "error", "error": {"type": kind, "message": message}}
                self._send(status, error, headers)
            case Hang():
                self.server.api.released.wait(HANGS_AT_MOST_S)
                self.close_connection = True
            case Cut(whole):
                self._stream(request, whole, cut=True)
            case Reply() if request.body.get("stream"):
                self._stream(request, reply, cut=False)
            case Reply():
                self._send(200, _message(request, reply, len(self.server.api.requests)))

    def _send(self, status: int, body: object, headers: Mapping[str, str] | None = None) -> None:
        data = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"content-type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, request: Request, reply: Reply, *, cut: bool) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        events = _events(request, reply, len(self.server.api.requests))
        for event in events[: len(events) // 2] if cut else events:
            line = f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
        if cut:
            self.close_connection = True
            self.connection.shutdown(2)
        else:
            self.wfile.write(b"0\r\n\r\n")


def _message(request: Request, reply: Reply, number: int) -> Json:
    content = [
        {**block, "id": f"toolu_{number:06}_{index}"} if block["type"] == "tool_use" else block
        for index, block in enumerate(reply.blocks)
    ]
    return {
        "id": f"msg_{number:06}",
        "type": "message",
        "role": "assistant",
        "model": request.model,
        "content": content,
        "stop_reason": reply.stop_reason,
        "stop_sequence": None,
        "usage": {"input_tokens": reply.input_tokens, "output_tokens": reply.output_tokens},
    }


def _events(request: Request, reply: Reply, number: int) -> list[Json]:
    """The message in the pieces of a stream; tokens of the answer are known at its end."""
    whole = _message(request, reply, number)
    start = {**whole, "content": [], "stop_reason": None}
    start["usage"] = {"input_tokens": reply.input_tokens, "output_tokens": 1}
    events: list[Json] = [{"type": "message_start", "message": start}]
    for index, block in enumerate(whole["content"]):
        events += _block_events(index, block)
    delta = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    events.append({"type": "message_delta", "delta": delta, "usage": whole["usage"]})
    events.append({"type": "message_stop"})
    return events


def _block_events(index: int, block: Json) -> list[Json]:
    if block["type"] == "text":
        opened: Json = {"type": "text", "text": ""}
        piece: Json = {"type": "text_delta", "text": block["text"]}
    else:
        opened = {**block, "input": {}}
        piece = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
    return [
        {"type": "content_block_start", "index": index, "content_block": opened},
        {"type": "content_block_delta", "index": index, "delta": piece},
        {"type": "content_block_stop", "index": index},
    ]
