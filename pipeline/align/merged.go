package align

import (
	"io"
	"math"
	"slices"

	"tsrun/sdk/tag"
)

// merged returns the tags of all channels in order of time, no time twice, each
// earlier by its delay; those of a delay that is not a number are left out.
func merged(channels [][]uint64, delays []float64) *held {
	all := &held{few: fewHeld}
	var readers []tag.Reader
	for i, tags := range channels {
		r := delayed{rest: tags}
		if delays != nil {
			if math.IsNaN(delays[i]) {
				continue
			}
			r.delay(int64(math.Round(delays[i])))
		}
		all.most += len(r.rest)
		readers = append(readers, &r)
	}
	all.room(all.most)
	buf, m := make([]uint64, mergedAtOnce), tag.Merge(readers...)
	for full := false; !full; {
		n := 0
		for n < len(buf) {
			k, _, err := m.Next(buf[n:])
			if full = err != nil; full { // at their end: slices have no other error
				break
			}
			n += k
		}
		distinct := slices.Compact(buf[:n])
		if last := len(all.tags) - 1; last >= 0 && len(distinct) > 0 && distinct[0] == all.tags[last] {
			distinct = distinct[1:]
		}
		all.append(distinct)
	}
	return all
}

// mergedAtOnce is how many tags are merged before they are put away.
const mergedAtOnce = 1 << 15

// delayed are tags that came too late.
type delayed struct {
	rest []uint64
	by   uint64
}

// delay leaves out tags from before the time began.
func (d *delayed) delay(by int64) {
	if d.by = uint64(by); by > 0 {
		early, _ := slices.BinarySearch(d.rest, d.by)
		d.rest = d.rest[early:]
	}
}

func (d *delayed) Next(buf []uint64) (int, error) {
	n := min(len(buf), len(d.rest))
	if n == 0 {
		return 0, io.EOF
	}
	for i, t := range d.rest[:n] {
		buf[i] = t - d.by
	}
	d.rest = d.rest[n:]
	return n, nil
}
