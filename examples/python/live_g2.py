#!/usr/bin/env python3
"""Coincidences of two channels while a run goes on: live_g2.py ADDRESS START STOP RANGE_PS BIN_PS [PATIENCE_S]

Counts how much later than each tag of START the tags of STOP come, as a histogram or g2 stage does.
It waits for a run to begin, and ends with 1 when that sends nothing for PATIENCE_S (60): whoever
stood still at the end of the run was not told of it."""
import json
import sys

import numpy as np
import zmq

address, start, stop, reach, width = *sys.argv[1:4], int(sys.argv[4]), int(sys.argv[5])
context = zmq.Context()
socket = context.socket(zmq.SUB)
socket.setsockopt(zmq.SUBSCRIBE, b"")
socket.connect(address)
print("listening", flush=True)
counts, missed, due, kind = np.zeros(2 * reach // width, int), 0, 0, ""
a = b = np.empty(0, np.int64)
while kind != "end":
    try:
        _, head, *tags = socket.recv_multipart()
    except zmq.Again:
        context.destroy()
        sys.exit("nothing has come for too long: the run was killed, or its end was missed; the last line has what came")
    socket.setsockopt(zmq.RCVTIMEO, int(1000 * float((sys.argv + ["60"])[6])))
    head = json.loads(head)
    kind, missed, due = head["kind"], missed + head["seq"] - due, head["seq"] + 1
    if kind == "tags":
        times, channel = np.frombuffer(tags[0], "<i8"), np.frombuffer(tags[1], "<u2")
        a = np.append(a, times[channel == head["channels"].index(start)])
        b = np.append(b, times[channel == head["channels"].index(stop)])
    done = a[: np.searchsorted(a, head["until_ps"] - reach)]  # all that is near these is here
    first = np.searchsorted(b, done - reach)
    near = np.searchsorted(b, done + reach) - first
    later = b[np.arange(near.sum()) + np.repeat(first - np.cumsum(near) + near, near)] - np.repeat(done, near)
    counts += np.bincount((later + reach) // width, minlength=len(counts))
    a, b = a[len(done) :], b[np.searchsorted(b, head["until_ps"] - 2 * reach) :]
    print(json.dumps({"kind": kind, "simulated": head["simulated"], "missed": missed, "counts": counts.tolist()}), flush=True)
context.destroy()
