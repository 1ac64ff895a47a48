"""One record of every channel to files: save.py HOST FOLDER bin|ascii [index]"""

import sys

import client

host, folder, fmt = sys.argv[1:4]
index = "index" in sys.argv[4:]
channels = (1, 2, 3, 4)
device, link = client.Device(host), client.DataLink(host)
client.prepare(device, 1, 400_000_000_000)
link.close_stale()
files, ids = {}, []
for n in channels:
    device.ask(f"RAW{n}:ERRORS:CLEAR")
    files[n] = f"{folder}/channel {n}.{fmt}"
    command = f'start-save --address {host} --channel {n} --filename "{files[n]}" --format {fmt}'
    ids.append(link.ask(command + (" --with-ref-index" if index else ""))["id"])
    device.ask(f"RAW{n}:SEND ON")
assert ids == [f"{host}:{5555 + n}" for n in channels]
device.ask("REC:PLAY")
assert int(device.ask("REC:NUMber?")) == 1
client.until(lambda: client.recorded(device, link, ids, 1))
client.finish(device, link, ids, channels)

sums = {}
for n in channels:
    sums[n] = client.Sum()
    with open(files[n], "rb") as f:
        data = f.read()
    if fmt == "bin":
        values = client.words(data)
    else:
        values = [int(x) for line in data.decode().splitlines() for x in line.split(";")]
    if index:
        assert set(values[1::2]) <= {0}, "without a reference the index is 0"
        values = values[0::2]
    sums[n].add(values)
client.report(sums)
