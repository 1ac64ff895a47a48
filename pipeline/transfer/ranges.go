package transfer

import "slices"

// maxRanges bounds the gaps of one file that are kept and told. Chunks come in
// order but for what is sent again, so a handful is usual.
const maxRanges = 1024

// spans is the set of bytes of a file that have been written: disjoint, not
// touching, in order.
type spans []span

type span struct{ start, end int64 } // end is the first byte after it

// add returns s with r in it too. It reports false, and s as it was, when that
// would need more than maxRanges spans.
func (s spans) add(r span) (spans, bool) {
	first, _ := slices.BinarySearchFunc(s, r.start, func(o span, at int64) int {
		if o.end < at {
			return -1
		}
		return 1
	})
	after := first
	for after < len(s) && s[after].start <= r.end {
		r.start, r.end = min(r.start, s[after].start), max(r.end, s[after].end)
		after++
	}
	if after == first && len(s) >= maxRanges {
		return s, false
	}
	return slices.Replace(s, first, after, r), true
}

// bytes returns how many bytes are in s.
func (s spans) bytes() (n int64) {
	for _, o := range s {
		n += o.end - o.start
	}
	return n
}

// missing returns what is not in s of a file of size bytes, the first maxRanges of it.
func (s spans) missing(size int64) (gaps []Range) {
	at := int64(0)
	for _, o := range append(s[:len(s):len(s)], span{size, size}) {
		if o.start > at && len(gaps) < maxRanges {
			gaps = append(gaps, Range{Offset: at, Length: o.start - at})
		}
		at = o.end
	}
	return gaps
}

// remove returns s without r.
func (s spans) remove(r span) (rest spans) {
	for _, o := range s {
		if o.start < r.start {
			rest = append(rest, span{o.start, min(o.end, r.start)})
		}
		if o.end > r.end {
			rest = append(rest, span{max(o.start, r.end), o.end})
		}
	}
	return rest
}

// without returns what of r is not in s.
func (s spans) without(r span) (gaps spans) {
	gaps = spans{r}
	for _, o := range s {
		gaps = gaps.remove(o)
	}
	return gaps
}

// prefix returns how many bytes are in s from the first on.
func (s spans) prefix() int64 {
	if len(s) == 0 || s[0].start > 0 {
		return 0
	}
	return s[0].end
}
