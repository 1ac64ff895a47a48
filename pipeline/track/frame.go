package track

import (
	"math"
	"slices"
	"sort"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/scatter"
	"tsrun/sdk/quantity"
)

const (
	second = 1e12 // ps
)

// frame is the seed's line; everything else is measured beside it.
type frame struct {
	line  correlate.Line
	slope float64 // ps per ps
	grid  scatter.Grid
}

func newFrame(s Seed) frame {
	return frame{s.Line, float64(s.Line.Frequency) / quantity.DriftUnit, s.Grid}
}

// offsetAt is the line's B minus A, without rounding it to picoseconds.
func (f frame) offsetAt(t uint64) quantity.Fine {
	gained := f.line.Frequency.FineOf(int64(t - f.line.Reference))
	return quantity.Fine{Whole: f.line.Offset + gained.Whole, Part: gained.Part}
}

// since is the time of A's scale that passed since the seed's Reference, ps.
func (f frame) since(t uint64) int64 { return int64(t - f.line.Reference) }

// knot turns a state of the clock at a time into what is told of it.
func (f frame) knot(at int64, s state, pairs float64) Knot {
	t := f.line.Reference + uint64(at)
	return Knot{
		Time: t, Offset: f.offsetAt(t).Plus(s.x), OffsetSD: math.Sqrt(max(s.xx, 0)),
		Frequency: (f.slope + s.y/second) * 1e9, FrequencySD: math.Sqrt(max(s.yy, 0)) / second * 1e9,
		Pairs: pairs,
	}
}

// point is a pair of tags: when it was on A's scale since Reference, and how
// far its difference is off the line. Both in ps.
type point struct {
	at int64
	d  float64
}

// aim is where pairs are looked for: within half of x + y*(at - centre).
type aim struct {
	centre  int64   // ps since Reference
	x, half float64 // ps
	y       float64 // ps per ps
}

func (m aim) off(p point) float64 { return p.d - m.x - m.y*float64(p.at-m.centre) }

// collector lists pairs; it keeps its memory from slice to slice.
type collector struct {
	frame
	shifted []uint64
	points  []point
}

// collect lists the pairs of a and b within the aim, in order of A's tags, not
// more than about most: where there would be more, only every stride-th tag of
// A is looked at. The list is good until the next call.
func (c *collector) collect(a, b []uint64, m aim, most int) (points []point, stride int) {
	c.points, stride = c.points[:0], 1
	if len(a) == 0 || len(b) == 0 {
		return nil, 1
	}
	base, width := c.shift(a, m)
	near := b[search(b, c.shifted[0]):]
	last := search(near, c.shifted[len(a)-1]+width)
	near = near[:last]
	if len(near) == 0 {
		return nil, 1
	}
	span := float64(near[len(near)-1]-near[0]) + float64(width)
	for chance := float64(len(a)) * float64(len(near)) * min(1, float64(width)/span); chance > float64(stride*most); {
		stride *= 2
	}
	if stride == 1 {
		c.sweep(a, near, width, base, m, 2*most)
	} else {
		c.sparse(a, near, width, base, m, stride, 2*most)
	}
	return c.points, stride
}

// shift fills in from where on B's tags belong to each of A's, and returns the
// line at the first and how far to look.
func (c *collector) shift(a []uint64, m aim) (base quantity.Fine, width uint64) {
	base = c.offsetAt(a[0])
	c.shifted = slices.Grow(c.shifted[:0], len(a))[:len(a)]
	half := m.half + 2
	zero := a[0]
	first := base.Part + m.x + m.y*float64(c.since(zero)-m.centre) - half
	whole, slope := uint64(base.Whole), c.slope+m.y
	for i, t := range a {
		c.shifted[i] = t + whole + uint64(int64(first+slope*float64(t-zero)))
	}
	return base, uint64(2*half) + 2
}

// sweep walks through both records at once; most tags are passed without a
// branch that a processor could guess wrong.
func (c *collector) sweep(a, b []uint64, width uint64, base quantity.Fine, m aim, most int) {
	from, zero, i, k := c.shifted, a[0], 0, 0
	for i < len(from) && k < len(b) {
		d := b[k] - from[i]
		if d > width {
			behind := int(d >> 63)
			k += behind
			i += 1 - behind
			continue
		}
		for j := k; j < len(b) && b[j]-from[i] <= width; j++ {
			c.add(a[i], b[j], zero, base, m)
		}
		if len(c.points) > most {
			return
		}
		i++
	}
}

// sparse does the same for every stride-th tag of A.
func (c *collector) sparse(a, b []uint64, width uint64, base quantity.Fine, m aim, stride, most int) {
	k := 0
	for i := 0; i < len(a) && len(c.points) <= most; i += stride {
		k += search(b[k:], c.shifted[i])
		for j := k; j < len(b) && b[j]-c.shifted[i] <= width && len(c.points) <= most; j++ {
			c.add(a[i], b[j], a[0], base, m)
		}
	}
}

// add lists a pair if it is within the aim. Its residual is exact to a
// millionth of a picosecond: what is large is subtracted as integers.
func (c *collector) add(ta, tb, zero uint64, base quantity.Fine, m aim) {
	d := float64(int64(tb-ta-uint64(base.Whole))) - base.Part - c.slope*float64(ta-zero)
	p := point{c.since(ta), d}
	if math.Abs(m.off(p)) <= m.half {
		c.points = append(c.points, p)
	}
}

// search returns the first of the ordered tags that is not before t.
func search(tags []uint64, t uint64) int {
	return sort.Search(len(tags), func(i int) bool { return int64(tags[i]-t) >= 0 })
}
