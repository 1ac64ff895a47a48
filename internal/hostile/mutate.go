package hostile

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
)

// Mutate returns what was once said, in another way: with bits flipped, cut, twice,
// with a part left out or another length, or as it was.
func Mutate(r *rand.Rand, said []byte) []byte {
	b := slices.Clone(said)
	if len(b) == 0 {
		return b
	}
	at := r.IntN(len(b))
	switch r.IntN(8) {
	case 0:
		return b
	case 1:
		return b[:at]
	case 2:
		return slices.Concat(b, b)
	case 3:
		return slices.Concat(b[:at], b[at+r.IntN(len(b)-at):])
	case 4: // a length, perhaps
		if at+8 <= len(b) {
			binary.BigEndian.PutUint64(b[at:], 1<<r.IntN(64)-uint64(r.IntN(2)))
		}
		return b
	case 5:
		noise := make([]byte, r.IntN(2000))
		for i := range noise {
			noise[i] = byte(r.Uint32())
		}
		return slices.Concat(b[:at], noise, b[at:])
	}
	for range 1 + r.IntN(8) {
		b[r.IntN(len(b))] ^= 1 << r.IntN(8)
	}
	return b
}
