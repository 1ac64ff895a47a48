"""A plugin of tsrun in Python: a driver that wraps a vendor's library, or a sink.

    import tsrun_plugin as tsrun

    class Driver(tsrun.Driver): ...

    tsrun.serve("tc-foo", "0.1.0", "What it is.", drivers={"tc-foo": tsrun.Offer(Driver, {...})})

It needs Debian's python3-grpcio, python3-protobuf and python3-zmq. Import it before
any vendor's library: from then on, what is printed is logged.
"""
import json, os, queue, signal, sys, threading, time, traceback
from concurrent import futures

_handshake = os.fdopen(os.dup(1), "w")  # standard output is for the handshake alone
os.dup2(2, 1)

import grpc

from tsrun_wire import (DATA, END, MARK, Block, Failure, Pull, Push, Sequence, TagError, failure_details, message, pb)

PROTOCOLS = (1, 2)  # of plugins; the newest that both know is spoken
_EXIT_WITHIN = 2.5  # s, to make a device safe when the host is gone


class Offer:
    """A driver or a sink that a recipe can name.

    make(config, env) opens it. keys are what a config may have: {"rate": key("integer", 5, "counts per s")}.
    """

    def __init__(self, make, keys=None, no_thresholds=False, simulated_when=None, keeps=""):
        self.make, self.keys, self.no_thresholds, self.keeps = make, keys or {}, no_thresholds, keeps
        self.simulated_when = simulated_when

    def describe(self, name):
        required = [k for k, v in self.keys.items() if v["default"] is None]
        properties = {k: {n: x for n, x in v.items() if x is not None} for k, v in self.keys.items()}
        offer = {"name": name, "schema": {"type": "object", "properties": properties, "required": required,
                                          "additionalProperties": False},
                 "defaults": {k: v["default"] for k, v in self.keys.items() if v["default"] is not None}}
        if self.keeps:
            offer["keeps"] = self.keeps
        if self.no_thresholds:
            offer["no_thresholds"] = True
        if self.simulated_when is not None:
            offer["simulation"] = {"schema": {"type": "object", "properties": {}, "additionalProperties": False},
                                   "when": self.simulated_when}
        return offer

    def read(self, text):
        """The config with its defaults; a Failure says what is wrong with it."""
        try:
            given = json.loads(text or b"{}")
        except ValueError as e:
            raise Failure(f"read config: {e}", code="bad-config") from e
        if not isinstance(given, dict):
            raise Failure("read config: it is no object", code="bad-config")
        for k, v in given.items():
            if k not in self.keys:
                raise Failure(f"read config: unknown key {k!r}", code="bad-config", field=k, hint="known are: " + ", ".join(self.keys))
            _check(k, v, self.keys[k])
        config = {k: v["default"] for k, v in self.keys.items()} | given
        for k, v in config.items():
            if v is None:
                raise Failure(f"read config: missing key {k!r}", code="bad-config", field=k)
        return config


def key(type, default, description, **bounds):
    """A key of a config: type is "string", "integer", "number" or "boolean"; a default of None makes it
    required; bounds are enum, minimum and maximum."""
    return {"type": type, "default": default, "description": description, **bounds}


def _check(name, value, k):
    types = {"string": str, "integer": int, "number": (int, float), "boolean": bool}
    good = isinstance(value, types[k["type"]]) and (k["type"] == "boolean") == isinstance(value, bool)
    good = good and ("enum" not in k or value in k["enum"])
    good = good and ("minimum" not in k or value >= k["minimum"]) and ("maximum" not in k or value <= k["maximum"])
    if not good:
        raise Failure(f"read config: {name} cannot be {value!r}", code="bad-config", field=name, hint=k["description"])


class Driver:
    """Controls one device: describe once, then arm and acquire any number of times, then close."""

    def describe(self):
        """A dict of the fields of Device in plugin.proto; inputs is a list of dicts."""
        raise NotImplementedError

    def arm(self, acquisition):
        """Program the device; acquisition has channels (stream, name, input, threshold_uv, falling, delay_ps)
        and duration_ns (0: until stopped)."""

    def acquire(self, stop, start, out):
        """Start the device by start.fire(stop, step), and send its tags to out until the duration is over or
        stop.is_set()."""
        raise NotImplementedError

    def close(self):
        """Leave the device safe and let go of it."""


class Sink:
    """Keeps the tags of a node, or makes something of them: begin, write for each block, finish, close."""

    def begin(self, recording):
        self.recording = recording

    def write(self, block):
        """block has stream, tags (an array of ps), until, lost and kind."""

    def finish(self):
        """Make everything durable, and tell of it with recording.publish or recording.kept."""

    def close(self):
        pass


def log(level, text, **more):
    """Log a line into the log of the run."""
    print(json.dumps({"@level": level, "@message": text, "@timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **more}),
          file=sys.stderr, flush=True)


class Start:
    """When an acquisition begins: fire takes the one step that makes the device record."""

    def __init__(self, at_ns, tell):
        self._at, self._tell = at_ns, tell

    def fire(self, stop, step=lambda: None):
        """Wait for the instant and take the step; False: stopped before."""
        late = self._at and time.time_ns() >= self._at
        while (left := self._at - time.time_ns()) > 0:
            if left > 2_000_000 and stop.wait(min(0.02, left / 1e9 - 0.001)):
                return False
        if stop.is_set():
            return False
        called = time.time_ns()
        step()
        self._tell(called, time.time_ns(), self._at or called, bool(late) or called - (self._at or called) > 100_000_000)
        return True


class _Events:
    """What is told to the host, in order."""

    def __init__(self):
        self._queue = queue.SimpleQueue()

    def put(self, event):
        self._queue.put(event)

    def relay(self, _, context):
        while context.is_active():
            try:
                e = self._queue.get(timeout=0.1)
            except queue.Empty:
                continue
            if e is None:
                self._queue.put(None)  # for the next who asks
                return
            yield e


class _Process:
    """What drivers and sinks have in common: one of an offer, from Configure to Close."""

    def __init__(self, offers):
        self.offers, self.lock, self.events = offers, threading.RLock(), _Events()
        self.one, self.closed = None, False

    def open(self, request):
        with self.lock:
            if self.one is not None or self.closed:
                raise Failure("configure: this process has had its device; start another")
            if request.kind not in self.offers:
                raise Failure(f"configure: nothing is called {request.kind!r}", code="unknown-kind")
            offer = self.offers[request.kind]
            env = {"instance": request.instance, "dir": request.dir, "simulation": json.loads(request.simulation or b"null")}
            self.one = offer.make(offer.read(request.config), env)

    def release(self):
        with self.lock:
            if self.closed:
                return
            self.closed = True
            try:
                if self.one is not None:
                    self.one.close()
            finally:
                self.events.put(None)


class _DriverProcess(_Process):
    stop_event = ended = endpoint = None  # of the latest acquisition

    def configure(self, request, _):
        self.open(request)
        return message("ConfigureResponse")(device=message("Device")(**self.one.describe()))

    def arm(self, request, _):
        with self.lock:
            if self.one is None or self.closed:
                raise Failure("arm: no device is open")
            if self.ended is not None and not self.ended.is_set():
                raise Failure("arm: the acquisition before has not ended; stop it first")
            if not request.channels:
                raise Failure("arm: an acquisition without channels")
            out = Push(request.endpoint, request.run, request.channels, self._lost)
            try:
                self.one.arm(request)
            except BaseException:
                out.abandon()
                raise
            self.out, self.started = out, False
            self.stop_event, self.ended = threading.Event(), threading.Event()
            return message("ArmResponse")()

    def _lost(self, stream, tags, at, why):
        self.events.put(message("DriverEvent")(lost={"stream": stream, "tags": tags, "at_ps": at, "why": why}))

    def start(self, request, _):
        with self.lock:
            if self.ended is None or self.started or self.ended.is_set():
                raise Failure("start: the driver is not armed, or was started or stopped before")
            late = time.time_ns() - request.not_after_unix_ns
            if request.not_after_unix_ns and late > 0:
                raise Failure(f"the order to start came {late} ns after its instant", code="missed-start",
                              hint="look for what holds the processes of this PC up")
            self.started = True

            def tell(called, returned, asked, late):
                self.events.put(message("DriverEvent")(started={"asked_unix_ns": asked, "called_unix_ns": called, "returned_unix_ns": returned, "late": late}))
            threading.Thread(target=self._acquire, args=(Start(request.at_unix_ns, tell),), daemon=True).start()
            return message("StartResponse")()

    def _acquire(self, start):
        failure = None
        try:
            self.one.acquire(self.stop_event, start, self.out)
        except Exception as e:
            failure = _failure(e)
        self._conclude(failure)

    def _conclude(self, failure):
        counts, sending = self.out.finish()
        e = message("Ended")(streams=counts)
        if failure or sending:
            e.failure.CopyFrom(failure or sending)
        self.events.put(message("DriverEvent")(ended=e))
        self.ended.set()

    def stop(self, _, context):
        self.halt()
        return message("StopResponse")()

    def halt(self):
        with self.lock:
            if self.ended is None or self.ended.is_set():
                return
            if not self.started:
                self.started = True
                self._conclude(None)
            self.stop_event.set()
            ended = self.ended
        ended.wait()

    def close(self, _, context):
        self.release()
        return message("CloseResponse")()

    def release(self):
        self.halt()
        super().release()


class Recording:
    """What a sink is asked to keep: dir, and streams, which maps a number to a name."""

    def __init__(self, request, events):
        self.dir, self.segment_ns, self._events = request.dir, request.segment_ns, events
        self.streams = {s.stream: s.name for s in request.streams}
        self.told = self.counted = 0

    def publish(self, kind, path, data, **more):
        """Write a small file below dir, make it durable and tell of it. kind is "tags", "table" or "other"; of
        tags, more says stream, segment, tags, first_ps, last_ps and lost."""
        whole = os.path.join(self.dir, path)
        if os.path.lexists(whole):
            raise Failure(f"publish {path}: there is such a file already")
        folder, base = os.path.split(whole)
        os.makedirs(folder, exist_ok=True)
        part = os.path.join(folder, "." + base + ".part")
        with open(part, "wb") as f:
            f.write(data)
            f.flush()
            os.fsync(f.fileno())
        os.rename(part, whole)
        at = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(at)
        finally:
            os.close(at)
        self.told += 1
        self._events.put(message("SinkEvent")(closed=pb.artifact(kind, path, data, more)))

    def kept(self, stream, tags):
        """Tell that so many tags of a stream, since begin, are durable elsewhere."""
        self.counted += 1
        self._events.put(message("SinkEvent")(kept={"stream": stream, "tags": tags}))


class _SinkProcess(_Process):
    recording = None
    finished = False

    def configure(self, request, _):
        self.open(request)
        return message("ConfigureResponse")()

    def begin(self, request, _):
        with self.lock:
            if self.one is None or self.closed:
                raise Failure("begin: no sink is open")
            if self.recording is not None:
                raise Failure("begin: this sink has begun before")
            if not os.path.isdir(request.dir):
                raise Failure(f"begin: there is no directory {request.dir}")
            recording = Recording(request, self.events)
            self.one.begin(recording)
            self.recording, self.error, self.leaving = recording, None, threading.Event()
            self.thread = threading.Thread(target=self._record, args=(Pull(request.endpoint), request.run), daemon=True)
            self.thread.start()
            return message("BeginResponse")()

    def _record(self, source, run):
        streams = {s: Sequence(run, s) for s in self.recording.streams}
        try:
            while not all(s.ended for s in streams.values()):
                block = source.next(self.leaving)
                if block is None:
                    raise Failure("receive blocks: the core left, or the sink was closed, before every stream had ended")
                if block.stream not in streams:
                    raise Failure(f"receive blocks: stream {block.stream} is not part of this recording")
                streams[block.stream].accept(block)
                self.one.write(block)
        except Exception as e:
            self.error = _failure(e)
            if not self.leaving.is_set():
                self.events.put(message("SinkEvent")(failed=self.error))
        finally:
            source.close()

    def finish(self, _, context):
        with self.lock:
            if self.recording is None or self.closed:
                raise Failure("finish: nothing was begun")
            while self.thread.is_alive() and context.is_active():
                self.thread.join(0.05)
            if self.thread.is_alive():
                raise Failure("finish: not every stream has ended", code="finish-timeout")
            if self.error:
                raise Failure(self.error.message, code=self.error.code, hint=self.error.hint)
            if not self.finished:
                self.one.finish()
                self.finished = True
            return message("FinishResponse")(artifacts=self.recording.told, kept=self.recording.counted)

    def close(self, _, context):
        self.release()
        return message("CloseResponse")()

    def release(self):
        if self.recording is not None:
            self.leaving.set()
            self.thread.join()
        super().release()


def _failure(e):
    if isinstance(e, Failure):
        return e.message_of()
    if not isinstance(e, (OSError, TagError)):
        log("error", "plugin raised", error=traceback.format_exc())
    return Failure(f"{type(e).__name__}: {e}", code="plugin-error").message_of()


def _answer(call):
    """A method as gRPC calls it: what it raises crosses as a Failure."""

    def answered(request, context):
        try:
            return call(request, context)
        except Exception as e:
            f = _failure(e)
            context.set_trailing_metadata((("grpc-status-details-bin", failure_details(f)),))
            context.abort(grpc.StatusCode.UNKNOWN, f.message.encode("ascii", "replace").decode())
    return answered


def _service(one, name, requests):
    """The handler of a service; those that stream are Watch and Lease."""
    methods = {}
    for method, call in requests.items():
        make = grpc.unary_stream_rpc_method_handler if method in ("Watch", "Lease") else grpc.unary_unary_rpc_method_handler
        methods[method] = make(call if method in ("Watch", "Lease") else _answer(call),
                               request_deserializer=message(method + "Request").FromString, response_serializer=lambda m: m.SerializeToString())
    return grpc.method_handlers_generic_handler("tsrun.plugin.v1." + name, methods)


def serve(name, version, summary, drivers=None, sinks=None):
    """Run the plugin until its host lets go of it or disappears."""
    drivers, sinks = drivers or {}, sinks or {}
    about = {"name": name, "version": version, "summary": summary, "protocol": PROTOCOLS[-1],
             "drivers": [o.describe(n) for n, o in drivers.items()], "sinks": [o.describe(n) for n, o in sinks.items()]}
    if "--describe" in sys.argv:
        print(json.dumps(about, indent=2), file=_handshake, flush=True)
        return
    if os.environ.get("TSRUN_PLUGIN") != "4f1d0c6b-time-tags":
        sys.exit(f"{name} is a plugin of tsrun: {summary}\ntsrun starts it when a recipe names it; --describe prints what it offers")
    driver, sink = _DriverProcess(drivers), _SinkProcess(sinks)
    leaving = threading.Event()

    def leave(*_):
        leaving.set()

    def lease(_, context):
        context.add_callback(leave)
        while context.is_active() and not leaving.is_set():
            yield message("LeaseBeat")()
            leaving.wait(0.4)

    def describe(_, context):
        return pb.described(about)

    def shutdown(_, context):
        context.add_callback(leave)
        return b""

    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16))
    raw = grpc.unary_unary_rpc_method_handler
    server.add_generic_rpc_handlers((
        _service(None, "Plugin", {"Describe": describe, "Lease": lease}),
        _service(driver, "Driver", {"Configure": driver.configure, "Arm": driver.arm, "Start": driver.start, "Stop": driver.stop,
                                    "Watch": driver.events.relay, "Close": driver.close}),
        _service(sink, "Sink", {"Configure": sink.configure, "Begin": sink.begin, "Finish": sink.finish, "Watch": sink.events.relay, "Close": sink.close}),
        grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": raw(lambda *_: b"\x08\x01")}),
        grpc.method_handlers_generic_handler("plugin.GRPCController", {"Shutdown": raw(shutdown)})))
    path = os.path.join(os.environ.get("PLUGIN_UNIX_SOCKET_DIR", "/tmp"), f"plugin{os.getpid()}")
    server.add_insecure_port("unix:" + path)
    for s in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(s, leave)
    server.start()
    spoken = [int(v) for v in os.environ.get("PLUGIN_PROTOCOL_VERSIONS", "1").split(",")]
    print(f"1|{max([p for p in PROTOCOLS if p in spoken], default=PROTOCOLS[-1])}|unix|{path}|grpc|", file=_handshake, flush=True)
    _handshake.close()
    while not leaving.wait(0.5):
        pass
    threading.Timer(_EXIT_WITHIN, lambda: os._exit(1)).start()  # whatever hangs
    for one in (driver, sink):
        try:
            one.release()
        except Exception as e:
            log("error", "close failed", error=str(e))
    server.stop(None)
    os._exit(0)  # a vendor's library may have threads that do not end
