package track

import "math"

// phases keeps where the pairs of a clock were while a filter follows it, in bounded
// memory: of cells of each of many lengths the newest. From those of a length come the
// deviations at times that are a few of them, so each time has its own newest stretch of
// the record, and what a day told of seconds is not kept.
type phases struct {
	grains []grain // from the shortest cells on, each twice as long as those before
	jumped float64 // ps: what the clock's jumps have added
}

// grain keeps the newest cells of one length.
type grain struct {
	length int64 // ps
	cells  []cell
}

// cell is what slices told in a stretch of time: sums, each slice weighed by how long it is.
type cell struct {
	at                   int64 // the how manieth since Reference
	length, t, x, y, err float64
}

const (
	mostGrains   = 24   // so many doublings: slices of 10 ms reach a day
	mostCells    = 512  // of a grain
	cellsOfTau   = 8    // of a grain, at whose time it gives a deviation: what it averages hardly matters then
	leastOfACell = 0.75 // part of a cell in which slices have pairs
)

// add takes a slice and the clock's frequency about it.
func (p *phases) add(s slice, y float64) {
	if len(p.grains) == 0 {
		p.grains = []grain{{length: max(s.to-s.from, 1)}}
	}
	for first := p.grains[0].length; s.to-s.from < first && first > 1; first = p.grains[0].length { // the filter has taken to shorter slices
		p.grains = append([]grain{{length: first / 2}}, p.grains...)
	}
	for longest := p.grains[len(p.grains)-1].length; len(p.grains) < mostGrains && longest <= math.MaxInt64/2; {
		longest *= 2
		p.grains = append(p.grains, grain{length: longest})
	}
	p.grains = p.grains[:min(len(p.grains), mostGrains)]
	s.x -= p.jumped
	for i := range p.grains {
		p.grains[i].add(s, y)
	}
}

func (g *grain) add(s slice, y float64) {
	at := floor(s.from, g.length) / g.length
	if n := len(g.cells); n == 0 || g.cells[n-1].at != at {
		g.forget(at)
		g.cells = append(g.cells, cell{at: at})
	}
	c := &g.cells[len(g.cells)-1]
	c.length += s.length
	c.t += s.length * s.t
	c.x += s.length * s.x
	c.y += s.length * y
	c.err += s.length * s.length * s.v
}

// forget drops the cells that are too old beside a new one.
func (g *grain) forget(at int64) {
	old := 0
	for old < len(g.cells) && g.cells[old].at <= at-mostCells {
		old++
	}
	if old > mostCells/4 || old == len(g.cells) {
		g.cells = g.cells[:copy(g.cells, g.cells[old:])]
	}
}

// grid are the phases at the middles of the newest cells, as [path.grid] gives those of a
// whole record.
func (g *grain) grid() (x, v []float64, unit float64) {
	unit = float64(g.length) / second
	if len(g.cells) == 0 {
		return nil, nil, unit
	}
	last := g.cells[len(g.cells)-1].at
	first := max(g.cells[0].at, last-mostCells+1)
	x, v = make([]float64, last-first+1), make([]float64, last-first+1)
	for _, c := range g.cells {
		if c.at < first || c.length < leastOfACell*unit {
			continue
		}
		middle := (float64(c.at) + 0.5) * unit
		x[c.at-first] = (c.x + c.y*(middle-c.t/c.length)) / c.length
		v[c.at-first] = c.err / (c.length * c.length)
	}
	return x, v, unit
}

// deviations are those of the clock so far, in order of time.
func (p *phases) deviations(q noise) (points []AllanPoint) {
	for i := range p.grains {
		x, v, unit := p.grains[i].grid()
		m := cellsOfTau
		if i == 0 {
			m = 1
		}
		for ; m <= cellsOfTau && 3*m <= len(x); m *= 2 {
			if point, ok := q.deviation(x, v, unit, m); ok {
				points = append(points, point)
			}
		}
	}
	return points
}

// noise is the mean of the noises that a bank tries, by how well they foretold.
func (b *bank) noise() (mean noise) {
	sum := 0.0
	for i := range b.members {
		m := &b.members[i]
		w := math.Exp(m.weight)
		sum += w
		mean.qx += w * m.qx
		mean.qy += w * m.qy
	}
	return noise{mean.qx / sum, mean.qy / sum}
}
