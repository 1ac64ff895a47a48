"""Prints the times of channel b on the clock of a, its offset at the times given, and back."""

import json
import sys

import tsrun

run = tsrun.open(sys.argv[1])
at = [int(t) for t in sys.argv[2:]]
print(json.dumps({
    "times": [int(t) for t in run.times("bob.idler", on="alice.signal")],
    "own": [int(t) for t in run.times("alice.signal", on="alice.signal")],
    "offset": [int(t) for t in run.offset("alice.signal", "bob.idler", at)],
}))
