"""Reads each path given, and prints a line of JSON for it: what tsrun.py finds."""

import json
import sys

import tsrun


def look(path):
    opened = tsrun.open(path)
    if isinstance(opened, tsrun.Run):
        said = {"run": opened.id, "condition": opened.condition, "simulated": opened.simulated, "ended": opened.ended}
        return said, {c: opened.tags(c) for c in opened.channels}
    return {}, {str(c): opened.tags(c) for c in opened.channels}


for path in sys.argv[1:]:
    try:
        said, channels = look(path)
        said["channels"] = {c: [str(t) for t in tags] for c, tags in channels.items()}
    except tsrun.Error as e:
        said = {"error": type(e).__name__ + ": " + str(e)}
    print(json.dumps(said))
