"""Print the arrays of a folder as numpy sees them, and write others for tsrun to read."""

import sys

import numpy

d = sys.argv[1]
one, two = numpy.load(d + "/one.npy"), numpy.load(d + "/two.npy")
print(one.dtype, one.shape, *one)
print(two.dtype, two.shape, *two["ps"][two["channel"] == -3], *two["channel"][two["channel"] != -3])
numpy.save(d + "/i8.npy", one[:-1].astype("<i8"))
numpy.save(d + "/big.npy", one.astype(">u8"))
numpy.save(d + "/u4.npy", one[:8].astype("u4"))
numpy.lib.format.write_array(open(d + "/v2.npy", "wb"), one, version=(2, 0))
numpy.lib.format.write_array(open(d + "/v3.npy", "wb"), one, version=(3, 0))
numpy.save(d + "/rows.npy", numpy.column_stack([numpy.full(len(one), 7, "u8"), one]))
r = numpy.zeros(len(one), [("x", "f4"), ("Time", ">i8"), ("ch", "u1"), ("y", "S3")])
r["Time"], r["ch"] = one, 7
numpy.save(d + "/fields.npy", r)
numpy.save(d + "/double.npy", one.astype("f8"))
numpy.save(d + "/negative.npy", numpy.array([-1]))
numpy.save(d + "/three.npy", numpy.zeros((2, 3), "u8"))
numpy.save(d + "/fortran.npy", numpy.asfortranarray(numpy.zeros((3, 2), "u8")))
numpy.save(d + "/nameless.npy", numpy.zeros(2, [("a", "u8")]))
numpy.save(d + "/scalar.npy", numpy.uint64(3))
