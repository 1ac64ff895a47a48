"""What a user would write instead: loops over sorted tags that numba compiles, and numpy.

Takes two files of tags in format bin, compiles, and says "ready". Then each line of
its input, "WORK PEER WHERE CORES", is done once and answered by a line
"SECONDS PROCESSOR-SECONDS RESULT". WHERE is memory, or files, which are read anew.
"""

import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy

HALF = 500  # ps, of a window
BIN = 100_000_000_000  # ps, of rates
HISTOGRAMS = {"sparse": (5_000, 10), "dense": (10_000_000, 1_000)}  # ps: reach and bin
pool = ThreadPoolExecutor(2)


@numba.njit(nogil=True)
def count_coincidences(a, b, half):
    n, i, j = 0, 0, 0
    while i < len(a) and j < len(b):
        d = b[j] - a[i]
        if d < -half:
            j += 1
        elif d > half:
            i += 1
        else:
            n, i, j = n + 1, i + 1, j + 1
    return n


@numba.njit(nogil=True)
def count_histogram(a, b, reach, width, counts):
    begin = 0
    for t in a:
        while begin < len(b) and b[begin] - t < -reach:
            begin += 1
        for j in range(begin, len(b)):
            d = b[j] - t + reach
            if d >= 2 * reach:
                break
            counts[d // width] += 1


@numba.njit(nogil=True)
def count_rates(a, width, counts):
    first, last, longest = a[0] // width, a[0], 0
    for t in a:
        counts[t // width - first] += 1
        longest = max(longest, t - last)
        last = t
    return longest


def parts(a, b, before, behind, cores):
    """Divide a, each part with the tags of b from so long before it to behind it."""
    for k in range(cores):
        part = a[len(a) * k // cores : len(a) * (k + 1) // cores]
        low, high = numpy.searchsorted(b, [part[0] - before, part[-1] + behind + 1])
        yield part, b[low:high]


def each(cores, do, work):
    if cores == 1:
        return [do(*w) for w in work]
    return list(pool.map(lambda w: do(*w), work))


def coincidences(a, b, cores):
    return sum(each(cores, lambda x, y: count_coincidences(x, y, HALF), parts(a, b, HALF, HALF, cores)))


def histogram(a, b, cores, reach, width):
    def count(x, y):
        counts = numpy.zeros(2 * reach // width, numpy.int64)
        count_histogram(x, y, reach, width, counts)
        return counts

    counts = sum(each(cores, count, parts(a, b, reach, reach, cores)))
    return int((counts * numpy.arange(len(counts))).sum())


def rates(a, b, cores):
    def count(x):
        counts = numpy.zeros(int(x[-1] // BIN - x[0] // BIN) + 1, numpy.int64)
        count_rates(x, BIN, counts)
        return int(counts.max())

    return sum(each(cores, count, [(a,), (b,)]))


def numpy_coincidences(a, b):
    return int((numpy.searchsorted(b, a + HALF, "right") - numpy.searchsorted(b, a - HALF)).sum())


def numpy_rates(a, b):
    return sum(int(numpy.bincount(x // BIN - x[0] // BIN).max()) for x in (a, b))


def answer(work, peer, a, b, cores):
    if peer == "numpy":
        return {"coincidences": numpy_coincidences, "rates": numpy_rates}[work](a, b)
    if work in HISTOGRAMS:
        return histogram(a, b, cores, *HISTOGRAMS[work])
    return {"coincidences": coincidences, "rates": rates}[work](a, b, cores)


def read():
    return [numpy.fromfile(path, "<i8") for path in sys.argv[1:3]]


memory = read()
for work in ("coincidences", "rates", *HISTOGRAMS):
    for cores in (1, 2):
        answer(work, "numba", memory[0][:1000], memory[1][:1000], cores)
print("ready", flush=True)
for line in sys.stdin:
    work, peer, where, cores = line.split()
    wall, cpu = time.perf_counter(), time.process_time()
    result = answer(work, peer, *(read() if where == "files" else memory), int(cores))
    print(time.perf_counter() - wall, time.process_time() - cpu, result, flush=True)
