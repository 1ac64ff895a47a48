package track

import (
	"math"
	"math/rand/v2"
	"testing"
)

// wandering gives phases the slices of a clock with white frequency noise of an Allan
// deviation a at 1 s, whose places are told to sd ps; some are missing.
func wandering(p *phases, from, slices int, length int64, a, sd float64, missing func(i int) bool) {
	rng := rand.New(rand.NewPCG(5, uint64(from)))
	x, step := 0.0, float64(length)/second
	for i := from; i < from+slices; i++ {
		before := x
		x += 40*step + a*1e12*math.Sqrt(step)*rng.NormFloat64() // 40 ps/s beside the line of the seed
		mean := (before+x)/2 + a*1e12*math.Sqrt(step/12)*rng.NormFloat64()
		if missing != nil && missing(i) {
			continue
		}
		p.add(slice{from: int64(i) * length, to: int64(i+1) * length, t: (float64(i) + 0.5) * step, length: step,
			x: mean + sd*rng.NormFloat64(), v: sd * sd}, 40)
	}
}

// white wants deviations that are those of white frequency noise, and returns how far
// they reach.
func white(t *testing.T, points []AllanPoint, a float64) (longest float64) {
	t.Helper()
	for _, p := range points {
		if want := a / math.Sqrt(p.Tau); math.Abs(p.Deviation-want) > 4*p.SD || !(p.SD > 0) || !(p.Tau > longest) {
			t.Errorf("%.3g s: %.3g +- %.2g, should be %.3g", p.Tau, p.Deviation, p.SD, want)
		}
		if want := a * 1e12 * math.Sqrt(p.Tau/6); p.TimeSD > 0 && math.Abs(p.Time-want) > 4*p.TimeSD {
			t.Errorf("%.3g s: time deviation %.3g +- %.2g ps, should be %.3g", p.Tau, p.Time, p.TimeSD, want)
		}
		longest = p.Tau
	}
	return longest
}

// The deviations of a day are kept in no more memory than those of an hour, and are those
// of the clock at each time.
func TestDeviationsOfADay(t *testing.T) {
	const a, length = 1e-9, 100_000_000_000
	var p phases
	q := noise{qx: a * 1e12 * a * 1e12}
	wandering(&p, 0, 36_000, length, a, 5, nil)
	held := 0
	for _, after := range []int{0, 36_000 * 23} {
		wandering(&p, 36_000, after, length, a, 5, nil)
		cells := 0
		for _, g := range p.grains {
			cells += cap(g.cells)
		}
		if held > 0 && cells > 2*held || cells > mostGrains*2*mostCells {
			t.Errorf("%d cells after an hour, %d after a day", held, cells)
		}
		held = cells
	}
	points := p.deviations(q)
	if longest := white(t, points, a); longest < 6000 || len(points) < 18 || len(points) > mostGrains+3 {
		t.Errorf("%d deviations to %g s: %+v", len(points), longest, points)
	}
}

// Of too few slices nothing is told, and nothing of a time over which most are missing.
func TestDeviationsOfFew(t *testing.T) {
	const a, length = 1e-9, 20_000_000_000
	for _, n := range []int{0, 1, 2, 3, 5} {
		var p phases
		wandering(&p, 0, n, length, a, 5, nil)
		if points := p.deviations(noise{}); len(points) > 0 {
			t.Errorf("%d slices give %+v", n, points)
		}
	}
	var p phases
	wandering(&p, 0, 20_000, length, a, 5, func(i int) bool { return i%3 == 1 })
	for _, d := range p.deviations(noise{qx: a * 1e12 * a * 1e12}) {
		if d.Tau > 0.17 {
			t.Errorf("cells of which a third is missing give %+v", d)
		}
	}
	p = phases{}
	wandering(&p, 0, 20_000, length, a, 5, func(i int) bool { return i%10 == 1 })
	if longest := white(t, p.deviations(noise{qx: a * 1e12 * a * 1e12}), a); longest < 20 {
		t.Errorf("with a tenth missing they reach to %g s", longest)
	}
}

// A filter that takes to shorter slices keeps what the longer ones have told, and one that
// finds pairs again after years has no cells for the time between.
func TestDeviationsOfShorterSlicesAndAfterAPause(t *testing.T) {
	const a = 1e-9
	var p phases
	wandering(&p, 0, 1000, 80_000_000_000, a, 5, nil)
	wandering(&p, 4000, 2000, 20_000_000_000, a, 5, nil)
	points := p.deviations(noise{qx: a * 1e12 * a * 1e12})
	if len(points) == 0 || points[0].Tau != 0.02 || len(p.grains) != mostGrains || points[len(points)-1].Tau < 5 {
		t.Errorf("%+v", points)
	}
	wandering(&p, 1<<31, 3, 20_000_000_000, a, 5, nil)
	cells := 0
	for _, g := range p.grains {
		x, _, _ := g.grid()
		cells += len(x)
	}
	if cells > mostGrains*mostCells {
		t.Errorf("%d cells after a year", cells)
	}
	p.deviations(noise{})
	p.add(slice{from: 1, to: 1, v: 1}, 0) // of no length at all
	p.deviations(noise{})
}

// Of slices of minutes and hours no cell is longer than all time.
func TestDeviationsOfLongSlices(t *testing.T) {
	const a = 1e-9
	for _, length := range []int64{100 * second, 3600 * second, 36_000 * second} {
		var p phases
		wandering(&p, 0, 200, length, a, 5, nil)
		for _, g := range p.grains {
			if g.length < length || len(p.grains) > mostGrains {
				t.Fatalf("slices of %d ps: %d grains, one of %d ps", length, len(p.grains), g.length)
			}
		}
		if longest := white(t, p.deviations(noise{qx: a * 1e12 * a * 1e12}), a); longest < float64(length)/second {
			t.Errorf("slices of %d ps: deviations up to %g s", length, longest)
		}
	}
}
