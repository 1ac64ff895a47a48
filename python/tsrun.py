"""Reads what tsrun has recorded, into numpy arrays. It is one file, and needs numpy only.

    import tsrun

    run = tsrun.open("runs/latest")                  # the directory of a run
    run.channels                                     # ["alice.signal", "bob.idler"]
    run.condition, run.simulated                     # ["GOOD", "SIMULATED"], True
    run.tags("alice.signal")                         # uint64, ps as they were recorded
    run.times("bob.idler", on="alice.signal")        # int64, ps on the clock of alice.signal
    run.offset("alice.signal", "bob.idler", at=0)    # ps, what the clock of bob.idler shows more

    file = tsrun.open("photons.tags")                # a file of tags, in any format
    file.channels, file.tags(3)

Times are whole picoseconds. What is damaged, missing or not proven is an Error that
says where and why; nothing is left out silently. Formats other than bin, tags and
npz are read by the program tsrun, which is looked for in $TSRUN, beside this file and
in PATH.
"""

import builtins
import collections
import functools
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import zipfile

import numpy as np

UNIT = 10**15  # a frequency of 1
LATEST = 2**63 - 1  # ps, 107 days: the last time that has a sign
MOST_JSON = 256 << 20  # bytes
PIECE = 1 << 20  # tags that are read at once

__all__ = ["Error", "NotFound", "Damaged", "Run", "TagFile", "open"]


class Error(Exception):
    """Anything that keeps a recording from being read."""


class NotFound(Error):
    """No such run, channel, file or clock."""


class Damaged(Error):
    """A file that is not whole, or is not what the run has proven."""


def open(path, format=""):
    """Opens the directory of a run, or a file of tags: a Run or a TagFile."""
    path = os.fspath(path)
    if os.path.isdir(path):
        return Run(path)
    return TagFile(path, format)


class Run:
    """A run: manifest, condition, channels, their tags and their clocks."""

    def __init__(self, path):
        self.path = path
        self.manifest = _json(os.path.join(path, "manifest.json"))
        self.id = self._at(self.manifest, "run", str)
        self.condition = self._at(self.manifest, "condition", list)
        self.reasons = self.manifest.get("reasons") or []
        self.simulated = "SIMULATED" in self.condition
        self.ended = "ended" in self.manifest  # False: it goes on, or was killed
        self._channels = {}
        self._segments = collections.defaultdict(list)
        self._clocks = None
        try:
            self._enter()
        except (KeyError, TypeError, AttributeError, ValueError) as e:
            raise Damaged(f"{self.path}: its manifest is damaged, or of another tsrun: {e!r}") from None

    def _enter(self):
        for node, of in self._at(self.manifest, "nodes", dict).items():
            for name, channel in (of.get("channels") or {}).items():
                takes = {int(t["shot"]) - 1: int(t["at_ps"]) for t in of.get("takes") or []}
                self._channels[f"{node}.{name}"] = (node, channel.get("controller")), channel.get("read_from"), takes
        for s in self.manifest.get("segments") or []:
            if s.get("kind", "tags") == "tags":
                parts = s["file"].split("/")
                if ".." in parts or s["file"].startswith("/") or "\\" in s["file"]:
                    raise Damaged(f"{self.path}: the manifest names {s['file']}, which is elsewhere")
                known = {k: s[k] for k in ("file", "sha256", "size", "tags", "index")}
                known.update(path=os.path.join(self.path, *parts), format=s.get("format", ""), part=s.get("part", 0), proven=s.get("verified"))
                self._segments[f"{s['node']}.{s['channel']}", s.get("sink")].append(known)

    def __repr__(self):
        return f"<run {self.id} in {self.path}: {' '.join(self.condition)}>"

    def _at(self, of, key, kind):
        if not isinstance(of.get(key), kind):
            raise Damaged(f"{self.path}: its manifest has no {key}; it is damaged, or no manifest of a run")
        return of[key]

    @property
    def channels(self):
        """The names of all channels, as in a recipe."""
        return sorted(self._channels)

    def _channel(self, name):
        if name not in self._channels:
            raise NotFound(f"{self.path}: no channel {name}; it has {', '.join(self.channels) or 'none'}")
        return self._channels[name]

    def blocks(self, channel, check=True):
        """Yields the tags of a channel segment by segment, uint64, in bounded memory.

        A segment whose bytes are not those that the run has proven is Damaged;
        check=False does not hash them and compares only their number.
        """
        _, sink, takes = self._channel(channel)
        last = 0
        for s in self._of(channel, sink):
            tags = self._segment(s, check)
            shot = takes.get(s["part"], 0)
            if len(tags) and int(tags[-1]) + shot >= 2**64:
                raise Damaged(f"{self.path}: {s['file']} goes beyond the end of time")
            tags = tags + np.uint64(shot)
            if len(tags) and int(tags[0]) < last:
                raise Damaged(f"{self.path}: {s['file']} begins before the end of the segment before it")
            last = int(tags[-1]) if len(tags) else last
            yield tags

    def _of(self, channel, sink):
        """The segments of a channel, of the sink whose files stages read."""
        if sink is None:  # no stage has read it: the first sink with files of it
            sink = next((s for c, s in self._segments if c == channel), None)
        found = sorted(self._segments.get((channel, sink), []), key=lambda s: s["index"])
        for i, s in enumerate(found):
            if s["index"] != i:
                raise Damaged(f"{self.path}: segment {i} of {channel} is missing: {' '.join(self.condition)}")
        return found

    def _segment(self, s, check):
        path = s["path"]
        if not s["proven"]:
            raise Damaged(f"{path}: its bytes were not proven by the run, which is {' '.join(self.condition)}")
        if _size(path) != s["size"]:
            raise Damaged(f"{path}: {_size(path)} bytes, the manifest says {s['size']}")
        if check and _sha256(path) != s["sha256"]:
            raise Damaged(f"{path}: it was changed: its SHA-256 is not that of the manifest")
        tags = TagFile(path, s["format"]).tags()
        if len(tags) != s["tags"]:
            raise Damaged(f"{path}: {len(tags)} tags, the manifest says {s['tags']}")
        return tags

    def tags(self, channel, check=True):
        """All tags of a channel as they were recorded: uint64, ps."""
        return _join(list(self.blocks(channel, check)))

    def times(self, channel, on=None, check=True):
        """The times of a channel's tags, int64 ps, on the clock of another: corrected."""
        return _join([self._on(on, channel, tags) for tags in self.blocks(channel, check)], np.int64)

    def offset(self, reference, target, at):
        """By how many ps the target's clock shows more at times of the reference's."""
        at = np.atleast_1d(np.asarray(at, dtype=np.uint64))
        return self._on(target, reference, at) - at.astype(np.int64)

    def _on(self, to, channel, tags):
        if len(tags) and int(tags[-1]) > LATEST:
            raise Error(f"{self.path}: {channel} has tags later than 107 days, which have no time with a sign; tags() has them")
        times = tags.astype(np.int64)
        if to is None:
            return times
        for edge in self._way(self._clock(to), self._clock(channel)):
            times = edge(times)
        return times

    def _clock(self, channel):
        return self._channel(channel)[0]

    def _way(self, to, start):
        """What carries times of one clock to another, over as few others as needed."""
        if to == start:
            return []
        if self._clocks is None:
            self._clocks = self._found()
        ways = {start: []}
        queue = [start]
        for clock in queue:
            for other, edge in self._clocks.get(clock, {}).items():
                if other not in ways:
                    ways[other] = ways[clock] + [edge]
                    queue.append(other)
        if to not in ways:
            raise NotFound(f"{self.path}: no offset was found between the clocks of {'.'.join(map(str, start))} and {'.'.join(map(str, to))}")
        return ways[to]

    def _found(self):
        """By clock and clock what align stages have found."""
        edges = collections.defaultdict(dict)
        for r in self.manifest.get("results") or []:
            if r.get("kind") != "align" or r.get("skipped"):
                continue
            for name in r.get("files") or []:
                if not name.endswith(".json") or ".." in name.split("/") or name.startswith("/"):
                    continue
                found = _json(os.path.join(self.path, *name.split("/")))
                if found.get("refused") or found.get("network"):  # of several clocks, each of which has a file of its own
                    continue
                try:
                    a, b = self._clock(found["reference"]), self._clock(found["target"])
                    edges[b][a], edges[a][b] = _correction(found)
                except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as e:
                    raise Damaged(f"{self.path}: {name} is no result of an align: {e!r}") from None
        return edges


class TagFile:
    """A file of tags: bin, tags and what convert writes as npz are read here, all
    others by the program tsrun."""

    def __init__(self, path, format=""):
        self.path = path
        self._format = format or os.path.splitext(path)[1].lstrip(".")
        size = _size(path)
        self._entries = None
        if self._format == "bin":
            if size % 8:
                raise Damaged(f"{path}: it ends within a tag, {size % 8} bytes after the last whole one")
        elif self._format == "tags":
            self._entries = _index(path, size)
        self._arrays = _channels_of(path) if self._format == "npz" else None

    @functools.cached_property
    def about(self):
        """What a file of npz says of where its tags are from: run, recipe_sha256,
        channel, device, SIMULATED, as far as they are known; {} of other files."""
        if self._arrays is None:
            return {}
        try:
            with np.load(self.path) as z:
                return json.loads(str(z["meta"]))
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as e:
            raise Damaged(f"{self.path}: {e}") from None

    @functools.cached_property
    def channels(self):
        """The numbers of the file's channels; [None] of a format without numbers."""
        if self._format == "bin":
            return [None]
        if self._entries is not None:
            return sorted({int(c) for c in self._entries["channel"][:-1]})
        if self._arrays is not None:
            return sorted(self._arrays)
        channels = {None if c is None else int(n) for c, _ in self._converted() for n in np.unique(c if c is not None else [0])}
        return sorted(channels, key=lambda c: -1 if c is None else c)

    def tags(self, channel=None):
        """The tags of a channel, or of the only one, in order of time: uint64, or
        int64 where times are below 0."""
        return _join(list(self.blocks(channel)))

    def blocks(self, channel=None):
        """Yields the tags of a channel in pieces, in bounded memory."""
        if self._format == "bin":
            last = 0
            with builtins.open(self.path, "rb") as f:
                while len(tags := np.fromfile(f, dtype="<u8", count=PIECE)):
                    last = _ordered(self.path, tags, last)
                    yield tags
            return
        if channel is None and len(self.channels) > 1:
            raise NotFound(f"{self.path}: it holds channels {self.channels}; choose one")
        if channel is None and self.channels:
            channel = self.channels[0]
        if channel not in self.channels and self.channels:
            raise NotFound(f"{self.path}: no tags of channel {channel}; it holds {self.channels}")
        if self._entries is not None:
            yield from _unpacked(self.path, self._entries, channel)
            return
        if self._arrays is not None:
            if channel in self._arrays:
                yield from _of_archive(self.path, self._arrays[channel])
            return
        for channels, tags in self._converted():
            yield tags if channels is None else tags[channels == channel]

    def _converted(self):
        """Yields channels and tags as tsrun converts them."""
        command = [_program(), "convert", self.path, "-", "--out-format", "npy"]
        if self._format not in ("", os.path.splitext(self.path)[1].lstrip(".")):
            command += ["--format", self._format]
        with tempfile.TemporaryFile() as said:
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, stdin=subprocess.DEVNULL) as p:
                whole = yield from _arrays(p.stdout)
            said.seek(0)
            if p.returncode or not whole:
                raise Damaged(f"{self.path}: {said.read().decode(errors='replace').strip() or 'tsrun ended before the file did'}")


def _channels_of(path):
    """The arrays of an archive that convert wrote, by channel; None of one that it
    did not write, which the program tsrun reads."""
    try:
        with zipfile.ZipFile(path) as z:
            names = [n for n in z.namelist() if n != "meta.npy"]
            written = len(names) < len(z.namelist()) and all(re.fullmatch(r"channel_-?\d{1,10}\.npy", n) for n in names)
    except (OSError, ValueError, zipfile.BadZipFile) as e:
        raise Damaged(f"{path}: it is no whole archive: {e}") from None
    return {int(n[len("channel_"):-len(".npy")]): n for n in names} if written else None


def _of_archive(path, name):
    """Yields the tags of one array of an archive, which proves its sum at the end."""
    try:
        with zipfile.ZipFile(path) as z, z.open(name) as f:
            pieces, below = _arrays(f), None  # the first tells whether times are below 0
            while True:
                try:
                    _, tags = next(pieces)
                except StopIteration as end:
                    if not end.value:
                        raise Damaged(f"{path}: {name} ends before its last tag") from None
                    return
                below = tags[0] < 0 if below is None else below
                yield tags if below else tags.astype("u8")
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as e:
        raise Damaged(f"{path}: {name}: {e}") from None


def _arrays(stream):
    """Yields the pieces of numpy's format; returns whether all came."""
    try:
        version = np.lib.format.read_magic(stream)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        (rows,), _, dtype = header(stream)
    except ValueError:
        return False
    while rows:
        text = stream.read(min(rows, PIECE) * dtype.itemsize)
        if not text or len(text) % dtype.itemsize:
            return False
        piece = np.frombuffer(text, dtype)
        rows -= len(piece)
        yield (None, piece) if dtype.names is None else (piece["channel"], piece["ps"].copy())
    return True


def _program():
    here = os.path.dirname(os.path.abspath(__file__))
    for path in (os.environ.get("TSRUN"), os.path.join(here, "..", "bin", "tsrun"), shutil.which("tsrun")):
        if path and os.access(path, os.X_OK):
            return path
    raise NotFound("the program tsrun is not found, which reads formats other than bin and tags; set TSRUN to its path")


def _json(path):
    if _size(path) > MOST_JSON:
        raise Damaged(f"{path}: it is longer than {MOST_JSON} bytes")
    with builtins.open(path, "rb") as f:
        try:
            value = json.load(f)
        except (ValueError, RecursionError) as e:
            raise Damaged(f"{path}: it is no JSON: {e}") from None
    if not isinstance(value, dict):
        raise Damaged(f"{path}: it holds no JSON object")
    return value


def _size(path):
    try:
        return os.stat(path).st_size
    except OSError as e:
        raise NotFound(f"{path}: {e.strerror}") from None


def _sha256(path):
    digest = hashlib.sha256()
    with builtins.open(path, "rb") as f:
        while part := f.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()


def _join(arrays, kind=np.uint64):
    return np.concatenate(arrays) if arrays else np.zeros(0, kind)


def _ordered(path, tags, last):
    if int(tags[0]) < last or (tags[1:] < tags[:-1]).any():
        raise Damaged(f"{path}: its tags go back in time; it is damaged, or was never in order (tsrun convert sorts what an instrument mixed up)")
    return int(tags[-1])


# Corrections. A straight clock is corrected by whole numbers alone, as tsrun does it.


def _correction(found):
    """What carries the target's times to the reference's clock, and back."""
    alignment = found.get("alignment") or {}
    if alignment.get("wanders"):
        return _along(alignment)
    reference, offset, frequency = found["reference_ps"], found["offset_ps"], found["frequency_1e15"]
    if abs(frequency) > UNIT // 1000 or abs(offset) > 2**61 or not 0 <= reference <= LATEST:
        raise ValueError("no clock is that far off")
    began = reference + offset
    forth = functools.partial(_line, begin=began, to=reference, num=-frequency, den=UNIT + frequency)
    back = functools.partial(_line, begin=reference, to=began, num=frequency, den=UNIT)
    return forth, back


def _line(times, begin, to, num, den):
    """to + e + e*num/den with e = times - begin, rounded, halves away from 0."""
    e = times - np.int64(begin)
    size = np.abs(e)
    digit, rest, gain = 12, np.zeros_like(e), np.zeros_like(e)
    for shift in range(60, -1, -digit):  # by hand, as the product has more than 64 bits
        part = rest * (1 << digit) + ((size >> shift) & ((1 << digit) - 1)) * abs(num)
        gain = (gain << digit) + part // den
        rest = part % den
    gain += 2 * rest >= den
    return np.int64(to) + e + gain * np.sign(e) * (1 if num >= 0 else -1)


def _along(alignment):
    """The same along the knots of a clock that wanders, straight between them."""
    knots = (alignment.get("track") or {}).get("knots") or []
    if not knots:
        raise NotFound("a clock wanders, and the result of its align has no knots to follow it by")
    zero = round(knots[0]["offset_ps"])
    at = [(k["time_ps"], k["offset_ps"] - zero, k["frequency_ppb"] * 1e-9) for k in knots]
    for s in alignment["track"].get("steps") or []:
        i = next((i for i, k in enumerate(at) if k[0] > s["time_ps"]), len(at))
        if 0 < i < len(at):  # from both sides to where the clock jumps
            (a, x, f), (b, y, g), t = at[i - 1], at[i], s["time_ps"]
            at[i:i] = [(t - 1, x + f * (t - 1 - a), f), (t, y - g * (b - t), g)]
    origin = at[0][0]
    far = 10**17  # ps; beyond its ends the clock goes on as it did there
    at = [(origin - far, at[0][1] - at[0][2] * far, 0)] + at + [(at[-1][0] + far, at[-1][1] + at[-1][2] * far, 0)]
    a = np.array([t - origin for t, _, _ in at], dtype=np.float64)
    offset = np.array([x for _, x, _ in at])

    def forth(times):
        by = np.interp((times - np.int64(origin + zero)).astype(np.float64), a + offset, offset)
        return times - np.int64(zero) - np.rint(by).astype(np.int64)

    def back(times):
        by = np.interp((times - np.int64(origin)).astype(np.float64), a, offset)
        return times + np.int64(zero) + np.rint(by).astype(np.int64)

    return forth, back


# Format tags: sdk/tagfile/tags.go and sdk/tagfile/pack/doc.go have its bytes.

_ENTRY = np.dtype([("offset", "<u8"), ("channel", "<i4"), ("count", "<u4"), ("first", "<u8"), ("last", "<u8")])
_FRAME, _HEADER, _TAIL, _RUN, _MOST = 20, 20, 28, 128, 1 << 16


def _u(text, at, size):
    return int.from_bytes(text[at : at + size], "little")


def _index(path, size):
    """The entries of all blocks, and a last one that says where they end."""

    def damaged(why):
        return Damaged(f"{path}: {why}; tsrun info says what of it is whole, and tsrun convert --salvage saves that")

    with builtins.open(path, "rb") as f:
        head = f.read(16)
        if head[:8] != b"\x89tags\r\n\x1a"[: len(head)] or not head:
            raise damaged("it does not begin as a file of tags")
        if len(head) < 16 or _crc(head[:12]) != _u(head, 12, 4):
            raise damaged("its header is damaged or cut off")
        if not 1 <= _u(head, 8, 4) <= 2:
            raise Error(f"{path}: its version is {_u(head, 8, 4)}, known are 1 and 2; a newer tsrun wrote it")
        f.seek(max(16, size - _TAIL))
        tail = f.read(_TAIL)
        blocks, start = _u(tail, 0, 8), _u(tail, 8, 8)
        if tail[20:] != b"\x89tend\r\n\x1a" or start + 4 + blocks * 32 + _TAIL != size or start < 16:
            raise damaged("it has no index; it was not finished, or is cut off")
        f.seek(start)
        index = f.read(size - start)
    if _u(index, 0, 4) != 0x78646974 or _crc(index[:-12]) != _u(index, len(index) - 12, 4):
        raise damaged("its index is damaged")
    entries = np.frombuffer(index, _ENTRY, blocks, 4)
    ends = np.append(entries["offset"][1:], np.uint64(start))
    if blocks and (int(entries["offset"][0]) != 16 or (ends <= entries["offset"]).any() or (ends - entries["offset"] > 1 << 20).any()):
        raise damaged("its index contradicts itself")
    return np.append(entries, np.array([(start, 0, 0, 0, 0)], _ENTRY))[: blocks + 1] if blocks else entries


def _unpacked(path, entries, channel):
    """Yields the tags of a channel, block by block, each proven."""
    last = 0
    with builtins.open(path, "rb") as f:
        for i in range(len(entries) - 1):
            if int(entries["channel"][i]) != channel:
                continue
            at = int(entries["offset"][i])
            f.seek(at)
            text = f.read(int(entries["offset"][i + 1]) - at)
            try:
                tags = _block(text, entries[i])
            except ValueError as e:
                raise Damaged(f"{path}: the block at byte {at}: {e}") from None
            last = _ordered(path, tags, last)
            yield tags


def _block(text, entry):
    frame, block = text[:_FRAME], text[_FRAME:]
    if len(block) < _HEADER or _u(frame, 0, 4) != 0x6B6C6274 or _crc(frame[:16] + block[:_HEADER]) != _u(frame, 16, 4):
        raise ValueError("its frame is damaged")
    size, first, count = _u(block, 4, 4), _u(block, 8, 8), _u(block, 16, 4)
    ticks, count = count >> 31, count & 0x7FFFFFFF
    if size != len(block) or not 1 <= count <= _MOST or _crc(block[4:]) != _u(block, 0, 4):
        raise ValueError("it is damaged")
    runs = (count - 1 + _RUN - 1) // _RUN
    begin = _HEADER + 8 * ticks
    if len(block) < begin + runs or (len(block) - begin - runs) % 8:
        raise ValueError("it is too short for its tags")
    tick = _u(block, _HEADER, 8) if ticks else 1
    codes = np.frombuffer(block, np.uint8, runs, begin)
    words = np.frombuffer(block, "<u8", -1, begin + runs)
    steps = _differences(codes, words, count - 1) * np.uint64(tick)
    tags = np.cumsum(np.concatenate([np.array([first], np.uint64), steps]), dtype=np.uint64)
    if (int(tags[0]), int(tags[-1]), len(tags)) != (int(entry["first"]), int(entry["last"]), int(entry["count"])):
        raise ValueError("it holds other tags than the index says")
    return tags


def _differences(codes, words, n):
    """The differences of all runs; runs of one width are unpacked together."""
    rice = codes >= 128
    width = np.where(rice, codes - 128, codes).astype(np.int64)
    length = np.full(len(codes), _RUN, np.int64)
    if n % _RUN:
        length[-1] = n % _RUN
    if (width > 64).any() or (rice & ((width > 40) | (length < _RUN))).any():
        raise ValueError("a run has a code that means nothing")
    used = (length * width + 63) // 64
    begin = np.cumsum(used) - used
    need = int(used.sum())
    if need > len(words) or not rice.any() and need < len(words):
        raise ValueError("its differences do not fill its bytes")
    padded = np.append(words, np.zeros(2 * _RUN, np.uint64))
    out = np.zeros((len(codes), _RUN), np.uint64)
    for w in np.unique(width[width > 0]):
        at = np.flatnonzero(width == w)
        bit = np.arange(_RUN) * w
        low = (bit % 64).astype(np.uint64)
        here = padded[begin[at][:, None] + bit // 64] >> low
        above = (padded[begin[at][:, None] + bit // 64 + 1] << (np.uint64(63) - low)) << np.uint64(1)
        out[at] = (here | above) & np.uint64(2 ** int(w) - 1)
    if rice.any():
        out[rice] += _unary(words[need:], int(rice.sum())) << width[rice][:, None].astype(np.uint64)
    return out.reshape(-1)[:n]


def _unary(words, runs):
    """What is above the lowest bits: as many 0 as the number, then a 1."""
    ones = np.flatnonzero(np.unpackbits(words.view(np.uint8), bitorder="little"))
    if len(ones) != runs * _RUN:
        raise ValueError("what is in unary does not fit the runs")
    return np.diff(ones, prepend=-1).astype(np.uint64).reshape(runs, _RUN) - np.uint64(1)


# CRC-32C. The checksum is linear: rows of the text go in step, then they are joined.


@functools.cache
def _table():
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = (table >> 1) ^ np.where(table & 1, np.uint32(0x82F63B78), np.uint32(0))
    return table


@functools.cache
def _zeros(n):
    """What n bytes of 0 make of each bit of a checksum."""
    if n == 1:
        bits = np.uint32(1) << np.arange(32, dtype=np.uint32)
        return _table()[bits & 0xFF] ^ (bits >> 8)
    half = _behind(_zeros(n // 2), n // 2)
    return _behind(half, 1) if n % 2 else half


def _behind(sums, n):
    """Checksums, with n bytes of 0 behind each text."""
    bits, out = _zeros(n), np.zeros_like(sums)
    for i in range(32):
        out ^= np.where((sums >> np.uint32(i)) & 1, bits[i], np.uint32(0))
    return out


def _crc(text):
    text = np.frombuffer(text, np.uint8).copy()
    if len(text) < 4:
        raise ValueError("too short for a checksum")
    text[:4] ^= 0xFF  # as the checksum begins with all bits set
    rows = 1
    while rows * rows < len(text):
        rows *= 2
    columns = -(-len(text) // rows)
    text = np.concatenate([np.zeros(rows * columns - len(text), np.uint8), text]).reshape(rows, columns)
    table, sums = _table(), np.zeros(rows, np.uint32)
    for column in np.ascontiguousarray(text.T):
        sums = table[(sums ^ column) & 0xFF] ^ (sums >> 8)
    while len(sums) > 1:
        sums = _behind(sums[0::2], columns) ^ sums[1::2]
        columns *= 2
    return int(sums[0]) ^ 0xFFFFFFFF
