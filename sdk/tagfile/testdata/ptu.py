"""Print a PicoQuant T2 file of generic records as lines "input picoseconds".

Written from PicoQuant's description of the unified file format, to check files
by a program that has nothing in common with the one that writes them.
"""

import struct
import sys
from fractions import Fraction

INT8, BOOL8, FLOAT8, TIME8, EMPTY = 0x10000008, 0x00000008, 0x20000008, 0x21000008, 0xFFFF0008
LONG = (0x4001FFFF, 0x4002FFFF, 0x2001FFFF, 0xFFFFFFFF)

data = open(sys.argv[1], "rb").read()
assert data[:8] == b"PQTTTR\0\0", data[:8]
assert data[8:16].rstrip(b"\0").decode("ascii") == "1.0.00"
at, header = 16, {}
while True:
    name, index, kind, value = struct.unpack_from("<32siI8s", data, at)
    name, at = name.split(b"\0")[0].decode("ascii"), at + 48
    assert index == -1 and name not in header, name
    if kind in LONG:
        length = struct.unpack("<q", value)[0]
        header[name], at = data[at : at + length].rstrip(b"\0").decode("ascii"), at + length
    elif kind in (INT8, BOOL8):
        header[name] = struct.unpack("<q", value)[0]
    elif kind in (FLOAT8, TIME8):
        header[name] = struct.unpack("<d", value)[0]
    else:
        assert kind == EMPTY, hex(kind)
        header[name] = None
    if name == "Header_End":
        break

assert header["Measurement_Mode"] == 2 and header["TTResultFormat_TTTRRecType"] == 0x00010207
assert header["TTResultFormat_BitsPerRecord"] == 32 and header["File_GUID"] and header["CreatorSW_Name"]
count = header["TTResult_NumberOfRecords"]
assert len(data) == at + 4 * count, (len(data), at, count)
tick = Fraction(repr(header["MeasDesc_GlobalResolution"])) * 10**12
high = 0
for (record,) in struct.iter_unpack("<I", data[at:]):
    special, channel, time = record >> 31, record >> 25 & 63, record & (1 << 25) - 1
    if special and channel == 63:
        high += (1 << 25) * (time if time else 1)
    elif special:
        assert channel == 0, "marker"
        print(0, (high + time) * tick)
    else:
        print(channel + 1, (high + time) * tick)
