package align

import "encoding/binary"

// tree adds up histograms of consecutive slices of time along every line that
// moves by up to one bin from slice to slice: sums of neighbouring slices are
// shared by all lines that agree there, so that N slices cost N log N additions
// for each bin and not N squared (J. H. Taylor, Astron. Astrophys. Suppl. 15,
// 367 (1974), found dispersed pulsars so).
//
// A row is a histogram of 16-bit counters, four of which are added at a time as
// one 64-bit word; no sum reaches 15 bits, so none runs over into its
// neighbour.
type tree struct {
	slices int // a power of two
	width  int // bins at which lines begin
	row    int // bytes of a row
	cap    uint16
	leaves []byte
	levels [][2][]byte // sums of 2, 4, ... slices: of a left and of a right half
	sum    []byte
}

const (
	topOfLane = 0x8000_8000_8000_8000
	eachLane  = 0x0001_0001_0001_0001
)

func newTree(slices, width int) *tree {
	t := &tree{slices: slices, width: width, row: (2*(width+slices+8) + 7) &^ 7}
	t.cap = uint16(1<<14/slices - 1)
	t.leaves = make([]byte, slices*t.row)
	for n := 2; n < slices; n *= 2 {
		t.levels = append(t.levels, [2][]byte{make([]byte, n*t.row), make([]byte, n*t.row)})
	}
	t.sum = make([]byte, t.row)
	return t
}

// bins is how many bins a slice's histogram has.
func (t *tree) bins() int { return t.width + t.slices }

// fill counts the differences b - a - low of one slice's tags of A in bins of
// 2^shift ps, and returns how many there are. A bin takes no more than so many
// that no sum can run over. It ends early after more than most differences.
func (t *tree) fill(slice int, a, b []uint64, low int64, shift, most int) (all int) {
	row := t.leaves[slice*t.row : (slice+1)*t.row]
	clear(row)
	if len(a) == 0 {
		return 0
	}
	span := uint64(t.bins()) << shift
	k := search(len(b), func(i int) bool { return int64(b[i]-a[0]) >= low })
	for _, at := range a {
		if all > most {
			break
		}
		from := at + uint64(low)
		for k < len(b) && int64(b[k]-from) < 0 {
			k++
		}
		for _, tb := range b[k:] {
			d := tb - from
			if d >= span {
				break
			}
			all++
			bin := row[d>>shift<<1:]
			if n := binary.LittleEndian.Uint16(bin); n < t.cap {
				binary.LittleEndian.PutUint16(bin, n+1)
			}
		}
	}
	return all
}

// ridge is the line with most pairs in two neighbouring bins: it begins at bin
// at of the first slice and has moved by shift bins in the last.
type ridge struct {
	at, shift int
	count     uint16
}

// highest finds the ridge among lines that rise from the first slice to the
// last, or, reversed, fall.
func (t *tree) highest(reversed bool) (best ridge) {
	half := t.slices / 2
	left, right := t.build(0, half, 0, reversed), t.build(half, half, 1, reversed)
	for shift := range t.slices {
		t.add(t.sum, left, right, shift)
		best = t.scan(best, shift)
	}
	return best
}

// build returns the sums of n slices from first on, along n lines.
func (t *tree) build(first, n, side int, reversed bool) []byte {
	if n == 1 {
		if reversed {
			first = t.slices - 1 - first
		}
		return t.leaves[first*t.row : (first+1)*t.row]
	}
	left, right := t.build(first, n/2, 0, reversed), t.build(first+n/2, n/2, 1, reversed)
	level := 0
	for m := n; m > 2; m /= 2 {
		level++
	}
	out := t.levels[level][side]
	for shift := range n {
		t.add(out[shift*t.row:(shift+1)*t.row], left, right, shift)
	}
	return out
}

// add sums the two halves' lines of half the shift, the right half's moved by
// what is left of it. Rows belong to one goroutine; the race detector would
// look at each byte of them, a hundred times as long.
//
//go:norace
func (t *tree) add(out, left, right []byte, shift int) {
	from := shift / 2 * t.row
	left, right = left[from:from+t.row], right[from:from+t.row]
	right = right[2*(shift-shift/2):]
	n := len(right) &^ 7
	out, left, right = out[:n], left[:n], right[:n]
	for i := 0; i+8 <= len(out); i += 8 {
		binary.LittleEndian.PutUint64(out[i:i+8], binary.LittleEndian.Uint64(left[i:i+8])+binary.LittleEndian.Uint64(right[i:i+8]))
	}
}

// scan looks for two neighbouring bins of the sum that are higher than the
// best, four bins at a time. As for add, rows belong to one goroutine.
//
//go:norace
func (t *tree) scan(best ridge, shift int) ridge {
	sum := t.sum[:2*t.width+8]
	above := uint64(best.count+1) * eachLane
	for i := 0; i+16 <= len(sum); i += 8 {
		here, next := binary.LittleEndian.Uint64(sum[i:i+8]), binary.LittleEndian.Uint64(sum[i+8:i+16])
		both := here + (here>>16 | next<<48)
		if ((both|topOfLane)-above)&topOfLane == 0 {
			continue
		}
		for lane := range 4 {
			if n := uint16(both >> (16 * lane)); n > best.count {
				best = ridge{at: i/2 + lane, shift: shift, count: n}
			}
		}
		above = uint64(best.count+1) * eachLane
	}
	return best
}
