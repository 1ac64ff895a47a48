package correlate

import "math/bits"

// tally counts pairs of tags with b - a in [lo, lo+width), by difference when
// it has bins, else only how many. Tags are in order, and differences modulo
// 2^64 are true, see maxSpan.
//
// Two kernels count the same. Where most tags have no partner, time goes into
// branches that no processor can foresee: whether A's or B's next tag comes
// first is chance. sparse has no such branch. It takes one step for every tag,
// of A or of B, in three parts of the record by turns, because the steps of one
// part wait for each other. Where a tag has partners, sparse meets them by
// surprise, and dense, which looks for the first partner of every tag, loses
// less.
type tally struct {
	lo, width uint64 // ps
	divide    divider
	counts    []uint64 // pairs by bin; nil to count only how many
	pairs     uint64
}

const (
	// densest is the number of pairs per tag of A at which both kernels were
	// as fast as each other, on two kinds of processor.
	densest = 0.5

	lanes     = 3   // parts of the record that sparse looks at by turns
	smallPart = 256 // tags that are not worth being parted
)

// add counts the pairs of a and b; it stops early beyond maxPairs.
func (y *tally) add(a, b []uint64) {
	if len(b) == 0 {
		return
	}
	// Tags of A without a tag of B in reach, at either end, need not be looked at.
	first, last := b[0], b[len(b)-1]
	a = a[search(len(a), func(i int) bool { return int64(first-a[i]-y.lo) < int64(y.width) }):]
	a = a[:search(len(a), func(i int) bool { return int64(last-a[i]-y.lo) < 0 })]
	if len(a) == 0 {
		return
	}
	perTag := float64(len(b)) * float64(y.width) / (float64(last-first) + float64(y.width))
	if perTag < densest {
		y.sparse(a, b, y.pairs+2*uint64(len(a)))
		return
	}
	if y.counts != nil && y.isWide(len(a), perTag) {
		y.wide(a, b)
		return
	}
	y.dense(a, b)
}

// part is what sparse has left of one of its parts.
type part struct{ i, end, j int }

// sparse looks at pairs a[i], b[j]: when b[j] is before a[i]'s window, it steps
// to the next b, otherwise it counts what is in the window and steps to the
// next a. When it finds more than enough pairs, which were bunched then, it
// leaves what is left to dense.
func (y *tally) sparse(a, b []uint64, enough uint64) {
	if len(a) < smallPart {
		y.simple(a, b)
		return
	}
	var p [lanes]part
	for k := range p {
		p[k].i, p[k].end = len(a)*k/lanes, len(a)*(k+1)/lanes
		p[k].j = y.reach(a[p[k].i], b)
	}
	y.interleave(a, b, &p, enough)
	for _, left := range p {
		if left.i == left.end || left.j == len(b) {
			continue
		}
		if y.pairs > enough {
			y.dense(a[left.i:left.end], b[left.j:])
		} else {
			y.sparse(a[left.i:left.end], b[left.j:], enough)
		}
	}
}

// interleave steps through all parts until one is at its end. Each step moves
// a part on by one tag, so the shortest way to an end is free of checks.
func (y *tally) interleave(a, b []uint64, p *[lanes]part, enough uint64) {
	for y.pairs <= enough {
		steps := len(b)
		for _, q := range p {
			steps = min(steps, q.end-q.i, len(b)-q.j)
		}
		if steps == 0 {
			return
		}
		if !stride(a, b, y.lo, y.width, p, steps) {
			continue
		}
		for k := range p {
			q := &p[k]
			d := b[q.j] - a[q.i] - y.lo
			if d < y.width {
				y.hit(a[q.i], b[q.j:])
			}
			n := int(d >> 63)
			q.j, q.i = q.j+n, q.i+1-n
		}
	}
}

// stride makes so many steps in all parts, or those until one of them meets a
// tag in its window: then met is true. It calls nothing, so that what it holds
// stays in registers.
//
//go:noinline
func stride(a, b []uint64, lo, width uint64, p *[lanes]part, steps int) (met bool) {
	i0, i1, i2 := p[0].i, p[1].i, p[2].i
	j0, j1, j2 := p[0].j, p[1].j, p[2].j
	for ; steps > 0; steps-- {
		d0 := b[j0] - a[i0] - lo
		d1 := b[j1] - a[i1] - lo
		d2 := b[j2] - a[i2] - lo
		if d0 < width || d1 < width || d2 < width {
			break
		}
		n0, n1, n2 := int(d0>>63), int(d1>>63), int(d2>>63)
		i0, j0 = i0+1-n0, j0+n0
		i1, j1 = i1+1-n1, j1+n1
		i2, j2 = i2+1-n2, j2+n2
	}
	p[0].i, p[1].i, p[2].i = i0, i1, i2
	p[0].j, p[1].j, p[2].j = j0, j1, j2
	return steps > 0
}

// hit counts the pairs of t with the first tags of b, of which at least one is
// in its window.
func (y *tally) hit(t uint64, b []uint64) {
	t += y.lo
	for k, u := range b {
		d := u - t
		if d >= y.width {
			y.pairs += uint64(k)
			return
		}
		if y.counts != nil {
			y.counts[y.divide.by(d)]++
		}
	}
	y.pairs += uint64(len(b))
}

// simple is sparse for a few tags of A.
func (y *tally) simple(a, b []uint64) {
	for len(a) > 0 && len(b) > 0 {
		d := b[0] - a[0] - y.lo
		if d>>63 != 0 {
			b = b[1:]
			continue
		}
		if d < y.width {
			y.hit(a[0], b)
		}
		a = a[1:]
	}
}

// dense sweeps with pointers that never turn back. Tags of A of one time are
// counted together, or a file of zeros would take for ever.
func (y *tally) dense(a, b []uint64) {
	if y.counts == nil {
		y.number(a, b)
		return
	}
	from := y.reach(a[0], b)
	for i := 0; i < len(a) && y.pairs <= maxPairs; {
		s, same := a[i]+y.lo, uint64(1)
		for i++; i < len(a) && a[i] == a[i-1]; i++ {
			same++
		}
		for from < len(b) && int64(b[from]-s) < 0 {
			from++
		}
		k := from
		for ; k < len(b); k++ {
			d := b[k] - s
			if d >= y.width {
				break
			}
			y.counts[y.divide.by(d)] += same
		}
		y.pairs += same * uint64(k-from)
	}
}

// number is dense for how many pairs there are, in one step for each tag.
func (y *tally) number(a, b []uint64) {
	from := y.reach(a[0], b)
	to := from
	for _, t := range a {
		s := t + y.lo
		for from < len(b) && int64(b[from]-s) < 0 {
			from++
		}
		for to = max(to, from); to < len(b) && b[to]-s < y.width; {
			to++
		}
		y.pairs += uint64(to - from)
	}
}

// reach returns the index of the first tag of b that is not before t's window.
func (y *tally) reach(t uint64, b []uint64) int {
	return search(len(b), func(j int) bool { return int64(b[j]-t-y.lo) >= 0 })
}

// countWithin counts the pairs with lo <= b - a <= hi.
func countWithin(a, b []uint64, lo, hi int64) uint64 {
	y := tally{lo: uint64(lo), width: uint64(hi-lo) + 1}
	y.add(a, b)
	return y.pairs
}

// divider divides by a constant n with one multiplication: the high word of
// 2d*r, where r is 2^64/2n rounded up. Then 2n*r exceeds 2^64 by less than 2n,
// and 2d*r/2^64 exceeds d/n by less than 2d/2^64, which must be less than the
// 1/n by which d/n may be short of the next integer: so it is exact as long as
// d*n is at most 2^63. Without the 2 there would be no r for n = 1.
type divider struct{ n, reciprocal uint64 }

// newDivider returns a divider by n of numbers below limit.
func newDivider(n, limit uint64) divider {
	if hi, lo := bits.Mul64(n, limit); hi > 0 || lo > 1<<63 {
		return divider{n: n}
	}
	return divider{n: n, reciprocal: ^uint64(0)/(2*n) + 1}
}

func (v divider) by(d uint64) uint64 {
	if v.reciprocal == 0 {
		return d / v.n
	}
	q, _ := bits.Mul64(2*d, v.reciprocal)
	return q
}
