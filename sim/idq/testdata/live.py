"""Endless short records of two channels, streamed while they are measured and
merged by time: live.py HOST RECORDS"""

import sys
import threading

import client

host, wanted = sys.argv[1], int(sys.argv[2])
width, period = 100_000_000_000, 100_000_400_000
channels = (1, 2)
device, link = client.Device(host), client.DataLink(host)
client.prepare(device, "INF", width)
device.ask(f"REC:PWID {width};PPER {period}")
link.close_stale()
ids, received, threads = [], {n: [] for n in channels}, []


def read(n, stream):
    for record, data in enumerate(stream.messages()):
        received[n].append([record * period + t for t in client.words(data)])


for n in channels:
    device.ask(f"RAW{n}:REF:LINK NONE;:RAW{n}:ERRORS:CLEAR")
    stream = client.Stream(host, n)
    threads.append(threading.Thread(target=read, args=(n, stream)))
    threads[-1].start()
    ids.append(link.ask(f"start-stream --address {host} --channel {n} --stream-port {stream.port}")["id"])
    device.ask(f"RAW{n}:SEND ON")
device.ask("REC:PLAY")
assert device.ask("REC:NUMber?") == "INF"
client.until(lambda: min(len(r) for r in received.values()) >= wanted)
assert device.ask("REC:STAGe?").upper() == "PLAYING", "tags came while the measurement went on"
device.ask("REC:STOP")
assert device.ask("REC:STAGe?").upper() != "PLAYING"


def level():
    """As many records on one channel as on the other, and at least as many as wanted."""
    counts = [link.ask(f"status --id {name}")["acquisitions_count"] for name in ids]
    return min(counts) == max(counts) >= wanted


client.until(level)
records = link.ask(f"status --id {ids[0]}")["acquisitions_count"]
client.finish(device, link, ids, channels)
sums = {}
for n, thread in zip(channels, threads):
    thread.join(client.DEADLINE)
    assert len(received[n]) == records, f"channel {n}: {len(received[n])} messages of {records} records"
    sums[n] = client.Sum()
    for times in received[n]:
        sums[n].add(times)
merged = sorted((t, n) for n in channels for record in received[n] for t in record)
assert len(merged) == sum(s.tags for s in sums.values())
client.report(sums)
