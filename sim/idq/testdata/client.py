"""What the acquisition scripts share: the two request sockets, the common
steps before and after a measurement, and the sum over what was received."""

import hashlib
import json
import socket
import struct
import sys
import time

import zmq

SCPI_PORT, DLT_PORT, STREAM_PORT = 5555, 6060, 4241
DEADLINE = 20.0  # seconds for anything to happen

context = zmq.Context()


def reachable(host, port):
    """A bare TCP connect without a word, as clients make before they trust an address."""
    socket.create_connection((host, port), timeout=DEADLINE).close()


class Service:
    def __init__(self, host, port):
        reachable(host, port)
        self.socket = context.socket(zmq.REQ)
        self.socket.setsockopt(zmq.RCVTIMEO, int(DEADLINE * 1000))
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.connect(f"tcp://{host}:{port}")

    def ask(self, text):
        self.socket.send_string(text)
        return self.socket.recv_string()


class Device(Service):
    def __init__(self, host):
        super().__init__(host, SCPI_PORT)

    def ask(self, text):
        reply = super().ask(text)
        assert "SCPI_ERR_" not in reply, f"{text}: {reply}"
        return reply


class DataLink(Service):
    def __init__(self, host):
        super().__init__(host, DLT_PORT)

    def ask(self, text):
        reply = json.loads(super().ask(text) or "null")
        assert "error" not in (reply or {}), f"{text}: {reply}"
        return reply

    def close_stale(self):
        for name in self.ask("list"):
            self.ask(f"stop --id {name}")


class Stream:
    """A PAIR socket that connects before anybody listens at the other end."""

    def __init__(self, host, channel):
        self.port = STREAM_PORT + channel
        self.socket = context.socket(zmq.PAIR)
        self.socket.setsockopt(zmq.RCVTIMEO, int(DEADLINE * 1000))
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.connect(f"tcp://{host}:{self.port}")

    def messages(self):
        """Every message up to the empty one."""
        while True:
            data = self.socket.recv()
            if not data:
                return
            yield data


def prepare(device, number, width_ps):
    for line in ("REC:TRIG:ARM:MODE MANUal", "REC:ENABle ON", "REC:STOP", f"REC:NUM {number}", f"REC:DURation {float(width_ps)}"):
        device.ask(line)


def until(condition):
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, "nothing happened in time"
        time.sleep(0.02)


def recorded(device, link, ids, records):
    """True when recording has stopped and every channel has its records."""
    if device.ask("REC:STAGe?").strip().upper() == "PLAYING":
        return False
    return all(link.ask(f"status --id {name}")["acquisitions_count"] >= records for name in ids)


def finish(device, link, ids, channels):
    assert sorted(link.ask("list")) == sorted(ids)
    for name in ids:
        status = link.ask(f"stop --id {name}")["status"]
        assert status["errors"] == [], status
    for n in channels:
        device.ask(f"RAW{n}:SEND OFF")
        assert device.ask(f"RAW{n}:ERRORS?") == "0"
    assert link.ask("list") == []


class Sum:
    """Number and SHA-256 of absolute times."""

    def __init__(self):
        self.tags, self.sha = 0, hashlib.sha256()

    def add(self, times, begin=0):
        self.tags += len(times)
        self.sha.update(struct.pack(f"<{len(times)}Q", *(begin + t for t in times)))


def report(sums):
    json.dump({n: {"tags": s.tags, "sha256": s.sha.hexdigest()} for n, s in sums.items()}, sys.stdout)


def words(data):
    return struct.unpack(f"<{len(data) // 8}Q", data)
