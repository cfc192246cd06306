"""The other end of peers/remote.ts: a client or a server of the package websockets, 10 or newer.

Commands are lines of JSON on standard input, events lines on standard output.
"""

import asyncio
import base64
import http
import json
import sys

import websockets
from websockets.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory,
    ServerPerMessageDeflateFactory,
)

# The implementation behind websockets.connect and websockets.serve changed in 14.
IS_NEW = int(websockets.__version__.split(".")[0]) >= 14

OPTIONS = {"max_size": None, "ping_interval": None, "close_timeout": 5}

connections = {}


def emit(event, **fields):
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")


def encode(message):
    if isinstance(message, str):
        return {"text": message}
    return {"binary": base64.b64encode(message).decode()}


def decode(message):
    return message["text"] if "text" in message else base64.b64decode(message["binary"])


def headers_of(ws, which):
    headers = getattr(ws, which).headers if IS_NEW else getattr(ws, which + "_headers")
    return {name.lower(): value for name, value in headers.raw_items()}


async def read(id, ws, which):
    connections[id] = ws
    emit("open", id=id, protocol=ws.subprotocol or "", headers=headers_of(ws, which))
    try:
        async for message in ws:
            emit("message", id=id, message=encode(message))
    except websockets.ConnectionClosed:
        pass
    await ws.wait_closed()
    emit("closed", id=id, code=ws.close_code, reason=ws.close_reason or "")


def status_of(error):
    if hasattr(error, "status_code"):
        return error.status_code
    return getattr(getattr(error, "response", None), "status_code", None)


def compression_of(factory, deflate):
    if deflate is None:
        return {}
    names = {
        "serverNoContextTakeover": "server_no_context_takeover",
        "clientNoContextTakeover": "client_no_context_takeover",
        "serverMaxWindowBits": "server_max_window_bits",
        "clientMaxWindowBits": "client_max_window_bits",
    }
    parameters = {names[name]: value for name, value in deflate.items() if name in names}
    if factory is ClientPerMessageDeflateFactory:
        # As the package offers by itself.
        parameters.setdefault("client_max_window_bits", True)
    if "level" in deflate:
        parameters["compress_settings"] = {"level": deflate["level"]}
    return {"compression": None, "extensions": [factory(**parameters)]}


async def connect(id, url, protocols, headers, deflate):
    name = "additional_headers" if IS_NEW else "extra_headers"
    try:
        ws = await websockets.connect(
            url,
            subprotocols=protocols or None,
            **{name: headers},
            **compression_of(ClientPerMessageDeflateFactory, deflate),
            **OPTIONS
        )
    except (websockets.InvalidHandshake, OSError) as error:
        emit("refused", id=id, status=status_of(error))
        return
    await read(id, ws, "response")


async def listen(protocols, refuse, deflate):
    last = 0

    async def accept(ws):
        nonlocal last
        last += 1
        await read(last, ws, "request")

    if IS_NEW:
        def refusal(connection, request):
            return connection.respond(http.HTTPStatus(refuse), "no entry")
    else:
        async def refusal(path, headers):
            return http.HTTPStatus(refuse), {}, b"no entry"

    process = {} if refuse is None else {"process_request": refusal}
    server = await websockets.serve(
        accept,
        "127.0.0.1",
        0,
        subprotocols=protocols or None,
        **process,
        **compression_of(ServerPerMessageDeflateFactory, deflate),
        **OPTIONS
    )
    emit("listening", port=server.sockets[0].getsockname()[1])
    return server


async def pinged(id, ws, payload):
    pong = await ws.ping(payload)
    # Done by a Pong of this payload only.
    await pong
    emit("pong", id=id, payload=base64.b64encode(payload).decode())


async def send(id, ws, message):
    if "fragments" not in message:
        await ws.send(decode(message))
        return

    async def fragments():
        for index, fragment in enumerate(message["fragments"]):
            yield decode(fragment)
            if index == 0 and "ping" in message:
                # Waits for the Pong before the message goes on.
                await pinged(id, ws, base64.b64decode(message["ping"]))

    await ws.send(fragments())


async def run(command, server):
    op = command["op"]
    if op == "listen":
        return await listen(command["protocols"], command["refuse"], command["deflate"])
    if op == "stop":
        server.close()
        return None
    id = command["id"]
    if op == "connect":
        keep(
            connect(
                id, command["url"], command["protocols"], command["headers"], command["deflate"]
            )
        )
        return server
    ws = connections[id]
    if op == "send":
        for message in command["messages"]:
            await send(id, ws, message)
    elif op == "ping":
        keep(pinged(id, ws, base64.b64decode(command["payload"])))
    elif op == "close":
        keep(ws.close(command["code"], command["reason"]))
    elif op == "cut":
        ws.transport.abort()
    elif op == "raw":
        ws.transport.write(base64.b64decode(command["bytes"]))
    return server


tasks = set()


def keep(coroutine):
    task = asyncio.ensure_future(coroutine)
    tasks.add(task)
    task.add_done_callback(tasks.discard)


async def main():
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=64 * 1024 * 1024)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    server = None
    while line := await reader.readline():
        server = await run(json.loads(line), server)


asyncio.run(main())
