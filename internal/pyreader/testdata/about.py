# Prints what an archive says of where its tags are from.
import sys

import tsrun

print(tsrun.open(sys.argv[1]).about)
