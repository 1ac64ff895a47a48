"""How tags and messages of tsrun's plugin protocol look on the wire."""
import array, base64, hashlib, json, operator, struct, sys, threading, time

import zmq
from google.protobuf import any_pb2, descriptor_pool, message_factory

from tsrun_descriptor import DESCRIPTOR

_pool = descriptor_pool.Default()
_pool.AddSerializedFile(base64.b64decode(DESCRIPTOR))
_types = {}


def message(name):
    """The type of a message of plugin.proto."""
    if name not in _types:
        d = _pool.FindMessageTypeByName("tsrun.plugin.v1." + name)
        newer = getattr(message_factory, "GetMessageClass", None)
        _types[name] = newer(d) if newer else message_factory.MessageFactory(_pool).GetPrototype(d)
    return _types[name]


class TagError(ValueError):
    """Tags or blocks that break the rules."""


class Failure(Exception):
    """An error that tells its reader what to do."""

    def __init__(self, text, code="", hint="", field=""):
        super().__init__(text)
        self.text, self.code, self.hint, self.field = text, code, hint, field

    def message_of(self):
        return message("Failure")(code=self.code, message=self.text, hint=self.hint, field=self.field)


def failure_details(f):
    """A Failure as gRPC carries it: google.rpc.Status with code, message and one detail."""
    def field(number, data):
        size, n = b"", len(data)
        while n > 127:
            size, n = size + bytes([n & 127 | 128]), n >> 7
        return bytes([number << 3 | 2]) + size + bytes([n]) + data
    detail = any_pb2.Any(type_url="type.googleapis.com/tsrun.plugin.v1.Failure", value=f.SerializeToString())
    return b"\x08\x02" + field(2, f.message.encode()) + field(3, detail.SerializeToString())


class pb:
    """Messages that are made of plain values."""

    @staticmethod
    def described(about):
        def offer(o):
            return message("Offer")(name=o["name"], schema=json.dumps(o["schema"]).encode(), defaults=json.dumps(o["defaults"]).encode(),
                                    keeps=o.get("keeps", ""), no_thresholds=o.get("no_thresholds", False),
                                    simulation=json.dumps(o["simulation"]).encode() if "simulation" in o else b"")
        return message("DescribeResponse")(name=about["name"], version=about["version"], summary=about["summary"],
                                           drivers=[offer(o) for o in about["drivers"]], sinks=[offer(o) for o in about["sinks"]])

    @staticmethod
    def artifact(kind, path, data, more):
        number = {"tags": 1, "table": 2, "other": 3}[kind]
        return message("Artifact")(kind=number, path=path, size=len(data), sha256=hashlib.sha256(data).digest(), **more)


DATA, MARK, END = 1, 2, 3
_HEAD = struct.Struct("<4sHBBHHI16sQQQQQI")
_MOST = 131072  # tags of a block
_TABLE = []
for _n in range(256):
    for _ in range(8):
        _n = _n >> 1 ^ 0x82F63B78 if _n & 1 else _n >> 1
    _TABLE.append(_n)


def crc32c(data):
    c = 0xFFFFFFFF
    for b in data:
        c = _TABLE[(c ^ b) & 255] ^ c >> 8
    return c ^ 0xFFFFFFFF


class Block:
    """Tags of one stream, or a mark that says how far it has come."""

    def __init__(self, kind, run, stream, seq, until, lost, tags):
        self.kind, self.run, self.stream, self.seq, self.until, self.lost, self.tags = kind, run, stream, seq, until, lost, tags

    def frames(self):
        n = len(self.tags)
        head = _HEAD.pack(b"TSBK", 1, self.kind, 0, self.stream, 0, n, self.run, self.seq, self.until, self.lost,
                          self.tags[0] if n else 0, self.tags[-1] if n else 0, 0)
        return [head + struct.pack("<I", crc32c(head)), little(self.tags).tobytes()]

    @staticmethod
    def read(frames):
        head = frames[0]
        if len(frames) != 2 or len(head) != 80 or struct.unpack("<I", head[76:])[0] != crc32c(head[:76]):
            raise TagError("read block: its header is damaged")
        magic, version, kind, _, stream, _, n, run, seq, until, lost, first, last, _ = _HEAD.unpack(head[:76])
        if magic != b"TSBK" or version != 1 or kind not in (DATA, MARK, END) or len(frames[1]) != 8 * n or n > _MOST:
            raise TagError("read block: it is none of version 1")
        tags = array.array("Q", frames[1])
        tags = little(tags)
        if n and (tags[0] != first or tags[-1] != last) or disorder(tags):
            raise TagError(f"read block {seq} of stream {stream}: its tags go back in time, or are not those of its header")
        return Block(kind, run, stream, seq, until, lost, tags)


def little(tags):
    if sys.byteorder == "big":
        tags = array.array("Q", tags)
        tags.byteswap()
    return tags


def disorder(tags):
    return any(map(operator.gt, tags, tags[1:]))


class Sequence:
    """Checks the order of the blocks of a stream."""

    def __init__(self, run, stream):
        self.run, self.stream, self.next, self.floor, self.ended = run, stream, 0, 0, False

    def accept(self, b):
        if b.run != self.run or b.seq != self.next or self.ended or len(b.tags) and b.tags[0] < self.floor:
            raise TagError(f"block {b.seq} of stream {b.stream}: another run, not block {self.next}, or before {self.floor} ps")
        self.next += 1
        self.floor = max(self.floor, b.until, b.tags[-1] if len(b.tags) else 0)
        self.ended = b.kind == END


class _Socket:
    """A ZeroMQ socket that notices when its peer has gone."""

    def __init__(self, kind, endpoint):
        self.context = zmq.Context()
        self.socket = self.context.socket(kind)
        if kind == zmq.PUSH:
            self.socket.setsockopt(zmq.RECONNECT_IVL, -1)  # what has not been taken is not for another
        self.socket.setsockopt(zmq.SNDHWM, 4)
        self.socket.setsockopt(zmq.RCVHWM, 16)
        ends = zmq.EVENT_DISCONNECTED
        if kind == zmq.PUSH:
            ends |= zmq.EVENT_CLOSED  # it never came to be, and is not tried again
        self.monitor = self.socket.get_monitor_socket(ends)
        self.socket.connect(endpoint)

    def gone(self):
        return self.monitor.poll(0) != 0

    def close(self, linger=0):
        self.socket.disable_monitor()
        self.monitor.close(0)
        self.socket.close(linger)
        self.context.term()


class Push:
    """Where a driver sends its tags. Its methods may be called from several threads."""

    _EVERY, _FULL, _PATIENCE = 0.02, 32768, 600  # s, tags, s

    def __init__(self, endpoint, run, channels, lost):
        self._socket, self._run, self._lost = _Socket(zmq.PUSH, endpoint), run, lost
        self._lanes = {c.stream: {"pending": array.array("Q"), "reached": 0, "until": 0, "lost": 0, "total": 0, "blocks": 0, "tags": 0,
                                  "first": 0, "last": 0} for c in channels}
        self._lock, self._error, self._done = threading.RLock(), None, threading.Event()
        self._flusher = threading.Thread(target=self._flush_old, daemon=True)
        self._flusher.start()

    def send(self, stream, tags):
        """Send tags of a stream: ps since the start, never decreasing, from one call to the next as well."""
        with self._lock:
            lane = self._lane(stream)
            tags = array.array("Q", tags if isinstance(tags, (bytes, bytearray, array.array, list, tuple)) else tags.tolist())
            if not len(tags):
                return
            if disorder(tags) or tags[0] < lane["reached"]:
                self._error = Failure(f"send: tags of stream {stream} go back in time before {lane['reached']} ps, or within one call",
                                      code="tags-out-of-order", hint="sort them before they are sent")
                raise self._error
            lane["pending"].extend(tags)
            lane["reached"] = tags[-1]
            if len(lane["pending"]) >= self._FULL:
                self._flush(stream, lane)

    def mark(self, stream, until):
        """Promise that no later tag of the stream is before until (ps)."""
        with self._lock:
            lane = self._lane(stream)
            lane["reached"] = max(lane["reached"], int(until))

    def lost(self, stream, tags, why):
        """Record that so many tags are missing after the last one sent."""
        with self._lock:
            lane = self._lane(stream)
            self._flush(stream, lane)
            lane["lost"] += tags
            self._lost(stream, tags, lane["reached"], why)

    def _lane(self, stream):
        if self._error:
            raise self._error
        return self._lanes[stream]

    def _flush(self, stream, lane):
        while len(lane["pending"]):
            tags, lane["pending"] = lane["pending"][:_MOST], lane["pending"][_MOST:]
            self._block(DATA, stream, lane, tags, lane["reached"] if not len(lane["pending"]) else tags[-1])
        if lane["reached"] > lane["until"] or lane["lost"]:
            self._block(MARK, stream, lane, array.array("Q"), lane["reached"])

    def _flush_old(self):
        while not self._done.wait(self._EVERY):
            try:
                with self._lock:
                    for stream, lane in self._lanes.items():
                        self._lane(stream)
                        self._flush(stream, lane)
            except Exception:
                return  # the next call of the driver gets it

    def _block(self, kind, stream, lane, tags, until):
        frames = Block(kind, self._run, stream, lane["blocks"], until, lane["lost"], tags).frames()
        for _ in range(int(self._PATIENCE / 0.05)):
            if self._socket.gone():
                break
            if self._socket.socket.poll(50, zmq.POLLOUT):
                self._socket.socket.send_multipart(frames)
                if len(tags):
                    lane["first"] = lane["first"] if lane["tags"] else tags[0]
                    lane["last"] = tags[-1]
                lane["blocks"], lane["tags"], lane["until"] = lane["blocks"] + 1, lane["tags"] + len(tags), until
                lane["total"], lane["lost"] = lane["total"] + lane["lost"], 0
                return
        self._error = Failure(f"send block {lane['blocks']} of stream {stream}: the core takes nothing any more", code="core-stalled")
        raise self._error

    def finish(self):
        """End every stream where it has come to; the counts of all, and what went wrong."""
        self._done.set()
        self._flusher.join()
        try:
            with self._lock:
                for stream, lane in self._lanes.items():
                    if not self._error or self._error.code != "core-stalled":
                        self._flush(stream, lane)
                        self._block(END, stream, lane, array.array("Q"), lane["reached"])
        except Failure:
            pass  # kept
        error, self._error = self._error, Failure("send: the acquisition has ended")
        self._socket.close(0 if error and error.code == "core-stalled" else 10000)
        counts = [message("StreamCount")(stream=s, blocks=v["blocks"], tags=v["tags"], lost=v["total"], first_ps=v["first"], last_ps=v["last"],
                                         until_ps=v["until"]) for s, v in self._lanes.items()]
        return counts, error.message_of() if error else None

    def abandon(self):
        self._done.set()
        self._flusher.join()
        self._socket.close()


class Pull:
    """Where a sink receives its blocks."""

    def __init__(self, endpoint):
        self._socket = _Socket(zmq.PULL, endpoint)

    def next(self, leaving):
        """The next block; None when the core has left, or leaving is set."""
        while not leaving.is_set():
            gone = self._socket.gone()
            # The core leaves as soon as it has sent everything: what has come is on its way from ZeroMQ's thread.
            if self._socket.socket.poll(1000 if gone else 50):
                return Block.read(self._socket.socket.recv_multipart())
            if gone:
                return None
        return None

    def close(self):
        self._socket.close()
