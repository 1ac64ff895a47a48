"""One record of two channels streamed: stream.py HOST [index]

With the index, channel 1 is also the reference of channel 2, and the absolute
times of channel 2 are put together again from both."""

import sys

import client

host = sys.argv[1]
index = "index" in sys.argv[2:]
channels = (1, 2)
device, link = client.Device(host), client.DataLink(host)
client.prepare(device, 1, 400_000_000_000)
device.ask("RAW2:REF:LINK " + ("TSCO5" if index else "NONE"))
link.close_stale()
ids, streams = [], {}
for n in channels:
    device.ask(f"RAW{n}:ERRORS:CLEAR")
    streams[n] = client.Stream(host, n)
    command = f"start-stream --channel {n} --address {host} --stream-port {streams[n].port} --id live{n}"
    ids.append(link.ask(command + (" --with-ref-index" if index and n == 2 else ""))["id"])
    device.ask(f"RAW{n}:SEND ON")
assert ids == ["live1", "live2"]
device.ask("REC:PLAY")
client.until(lambda: client.recorded(device, link, ids, 1))
client.finish(device, link, ids, channels)

values = {n: [v for data in streams[n].messages() for v in client.words(data)] for n in channels}
sums = {n: client.Sum() for n in channels}
sums[1].add(values[1])
if index:
    first = [0] + values[1]  # the reference of index i is the i-th event of channel 1
    pairs = list(zip(values[2][0::2], values[2][1::2]))
    assert pairs[-1][1] > 0, "no reference event was counted"
    times = [first[i] + v for v, i in pairs]
    assert times == sorted(times)
    values[2] = values[2][0::2]  # the truth sums what was sent
sums[2].add(values[2])
client.report(sums)
