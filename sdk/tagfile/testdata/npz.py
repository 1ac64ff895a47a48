# Prints what numpy finds in archives that tsrun wrote, and writes some of its own.
import json
import sys

import numpy

d = sys.argv[1]
sys.stdout.reconfigure(encoding="utf-8")
for name in "two", "one":
    with numpy.load(f"{d}/{name}.npz", allow_pickle=False) as z:
        for key in z.files:
            if key == "meta":
                print(key, json.loads(str(z[key])))
            else:
                print(key, z[key].dtype, *z[key])
with numpy.load(f"{d}/two.npz") as z:
    tags, five = z["channel_-3"], z["channel_70000"]
numpy.savez(f"{d}/named.npz", signal=tags, idler=five)
numpy.savez(f"{d}/places.npz", tags, five)
numpy.savez(f"{d}/numbers.npz", ch7=tags, ch12=five.astype("u1"))
numpy.savez(f"{d}/others.npz", edges=numpy.linspace(0, 1, 5), tags=five, note=numpy.array("x"))
numpy.savez_compressed(f"{d}/packed.npz", signal=tags)
