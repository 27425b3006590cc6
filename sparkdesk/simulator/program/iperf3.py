"""`iperf3` of a node: TCP from one node to another over the real packets of the simulated cables.

The one rule: what it tells was really sent and received; how fast that is, is this computer's doing and not a Spark's,
so its text says that it is simulated. Options and form. Source: iperf3(1), iperf 3.16.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from dataclasses import dataclass

_PORT, _CHUNK_BYTES, _CONNECT_S = 5201, 128 * 1024, 5.0
_MAX_STREAMS, _MAX_S = 16, 60.0
_VALUES = {"-c": "host", "--client": "host", "-p": "port", "--port": "port", "-B": "bind", "--bind": "bind",
           "-P": "streams", "--parallel": "streams", "-t": "seconds", "--time": "seconds"}  # fmt: skip
_FLAGS = {"-s": "server", "--server": "server", "-1": "once", "--one-off": "once", "-J": "json", "--json": "json"}
_MARK = "# simulated: over this computer's own packets"


@dataclass
class Count:
    """Bytes of one stream."""

    total: int = 0


def main(arguments: list[str]) -> int:
    """`iperf3 -s [-1] [-B ADDRESS] [-p PORT]`, `iperf3 -c HOST [-J] [-B ADDRESS] [-p PORT] [-P N] [-t S]`."""
    values: dict[str, str] = {}
    flags, left = set(), list(arguments)
    while left:
        word = left.pop(0)
        if word in _VALUES and left:
            values[_VALUES[word]] = left.pop(0)
        elif word in _FLAGS:
            flags.add(_FLAGS[word])
        else:
            print(f"iperf3: unrecognized option '{word}'", file=sys.stderr)
            return 1
    try:
        numbers = {name: float(values.get(name, usual))
                   for name, usual in (("port", _PORT), ("streams", 1), ("seconds", 10))}  # fmt: skip
    except ValueError:
        print("iperf3: parameter error - some option you are trying to set is invalid", file=sys.stderr)
        return 1
    if ("server" in flags) == ("host" in values) or not 1 <= numbers["streams"] <= _MAX_STREAMS:
        print("iperf3: parameter error - must either be a client (-c) or server (-s)", file=sys.stderr)
        return 1
    bind, port = values.get("bind", ""), int(numbers["port"])
    try:
        if "server" in flags:
            return _serve(bind, port, is_once="once" in flags)
        seconds = min(_MAX_S, numbers["seconds"])
        return _send(values["host"], bind, port, int(numbers["streams"]), seconds, is_json="json" in flags)
    except OSError as error:
        words = f"error - unable to {'start listener' if 'server' in flags else 'connect to server'}: {error.strerror}"
        print(json.dumps({"error": words}) if "json" in flags else f"iperf3: {words}",
              file=sys.stdout if "json" in flags else sys.stderr)  # fmt: skip
        return 1


def _serve(bind: str, port: int, *, is_once: bool) -> int:
    print(
        f"{_MARK}\n-----------------------------------------------------------\nServer listening on {port}", flush=True
    )
    with socket.create_server((bind, port), backlog=_MAX_STREAMS) as listener:
        while True:
            counts, streams = list[Count](), list[threading.Thread]()
            end, _address = listener.accept()
            with end:
                told = json.loads(end.makefile("r", encoding="ascii").readline(200))
                for _stream in range(min(_MAX_STREAMS, int(told["streams"]))):
                    counts.append(Count())
                    streams.append(threading.Thread(target=_take, args=(listener.accept()[0], counts[-1]), daemon=True))
                    streams[-1].start()
                for stream in streams:
                    stream.join()
                end.sendall(json.dumps({"bytes": sum(count.total for count in counts)}).encode() + b"\n")
            if is_once:
                return 0


def _take(end: socket.socket, count: Count) -> None:
    with end:
        while data := end.recv(_CHUNK_BYTES):
            count.total += len(data)


def _send(host: str, bind: str, port: int, streams: int, seconds: float, *, is_json: bool) -> int:
    source = (bind, 0) if bind else None
    with socket.create_connection((host, port), _CONNECT_S, source) as control:
        control.sendall(json.dumps({"streams": streams}).encode() + b"\n")
        ends = [socket.create_connection((host, port), _CONNECT_S, source) for _stream in range(streams)]
        begun_s, counts = time.monotonic(), [Count() for _end in ends]
        pairs = zip(ends, counts, strict=True)
        threads = [threading.Thread(target=_pour, args=(end, begun_s + seconds, count)) for end, count in pairs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        spent_s = time.monotonic() - begun_s
        received = int(json.loads(control.makefile("r", encoding="ascii").readline(200))["bytes"])
    sent = sum(count.total for count in counts)
    sums = {name: {"start": 0, "end": spent_s, "seconds": spent_s, "bytes": total,
                   "bits_per_second": total * 8 / spent_s, "sender": True}
            for name, total in (("sum_sent", sent), ("sum_received", received))}  # fmt: skip
    if is_json:
        start = {"version": "iperf 3.16", "test_start": {"protocol": "TCP", "num_streams": streams},
                 "simulated": _MARK}  # fmt: skip
        print(json.dumps({"start": start, "intervals": [], "end": sums}, indent="\t"))
        print(_MARK, file=sys.stderr)
        return 0
    rate = received * 8 / spent_s / 1e9
    print(f"{_MARK}\n[SUM]   0.00-{spent_s:.2f}  sec  {received / 1e9:.2f} GBytes  {rate:.2f} Gbits/sec   receiver")
    return 0


def _pour(end: socket.socket, over_s: float, count: Count) -> None:
    data = bytes(_CHUNK_BYTES)
    with end:
        while time.monotonic() < over_s:
            count.total += end.send(data)
