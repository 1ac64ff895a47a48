package correlate

import (
	"fmt"
	"math"
)

// repeated is chance of light that is pulsed or gated: what a scan counts in all
// when B is moved by whole periods. Its fine is nil for other light.
type repeated struct {
	fine   []uint64
	parts  float64 // of the time at no shift that these shifts leave, together
	period float64 // ps, the shortest
}

// elsewhere finds how the light repeats, and scanners that count the same
// differences with B moved by whole periods; none for light that does not repeat.
// What they count is kept in one histogram.
func (s *scanner) elsewhere(g *gather) (sky light, moved []*scanner) {
	sky, _ = g.look(CoincidenceOptions{Window: s.window})
	if len(sky.periods) == 0 {
		return sky, nil
	}
	at := sky.wholly(max(minShift, s.width, sky.blind+sky.blind/4))
	g.reach += at[len(at)-1]
	fine := make([]uint64, len(s.fine))
	for place, by := range at {
		if place != shiftsEachSide {
			moved = append(moved, &scanner{low: s.low + by, width: s.width, bin: s.bin, fine: fine, by: by})
		}
	}
	return sky, moved
}

// repeatedOf is what the moved scanners counted.
func repeatedOf(g *gather, sky light, moved []*scanner) repeated {
	if len(moved) == 0 {
		return repeated{}
	}
	a, b, half := g.lanes[0].record(g), g.lanes[1].record(g), float64(moved[0].width)/2
	whole := timeOver(a, b, -half, half)
	r := repeated{fine: moved[0].fine, period: sky.periods[0].length}
	for _, m := range moved {
		if whole > 0 {
			r.parts += timeOver(a, b, float64(m.by)-half, float64(m.by)+half) / whole
		}
	}
	return r
}

// short says that the record is too short to count chance of light that repeats;
// empty where it is not.
func (r repeated) short() string {
	if r.fine == nil || r.parts >= 1 {
		return ""
	}
	return fmt.Sprintf("the light repeats after %.9g ps, and the record is too short to move B by whole periods beyond the scan, so what is chance is not known", r.period)
}

// under is chance in a bin.
func (m *moments) under(k int) float64 {
	if m.chance.fine == nil {
		return m.level * m.seenOf(k, k+1)
	}
	return float64(m.chance.fine[k]) / m.chance.parts
}

// within is chance in bins, of which the first and the last may be parts.
func (m *moments) within(from, to float64) (sum float64) {
	least := 0.0
	if m.chance.fine == nil && m.seen == nil {
		return m.level * (to - from)
	} else if m.chance.fine != nil {
		least = 0.5 / m.chance.parts
	}
	for k := int(from); float64(k) < to && k < len(m.fine); k++ {
		sum += m.under(k) * (min(to, float64(k+1)) - max(from, float64(k)))
	}
	return max(sum, least)
}

// doubt says why chance beside the peak is not what it is taken for; empty where
// nothing speaks against it.
func (m *moments) doubt() string {
	const much = 0.05 // of chance
	if m.chance.fine != nil {
		if short := m.chance.short(); short != "" {
			return short
		}
		moved := 0.0
		for k, n := range m.chance.fine {
			if k < m.low || k >= m.high {
				moved += float64(n)
			}
		}
		if u := compare(m.beyond, 1, moved, m.chance.parts); u.certain() && math.Abs(u.part) > much {
			return fmt.Sprintf("beside the peak there are %.3g times as many pairs as when B is moved by whole periods of %.9g ps, so what is chance is not known", 1+u.part, m.chance.period)
		}
		return ""
	}
	if s := m.scatter(); s > much {
		return fmt.Sprintf("counts beside the peak differ by %.2g of their mean from one another, more than chance lets them: there are other peaks, or the light is pulsed or gated, so what is chance is not known; scan a part without other peaks, or see coincidences", s)
	}
	return ""
}

// scatter is the standard deviation of counts in stretches beside the peak that are
// as long as it, beyond that of chance and over their mean; 0 where chance may do it.
func (m *moments) scatter() float64 {
	const certainly, most, little = 8, 1 << 12, 0.05 // standard deviations; stretches; of the time, that a stretch was seen
	long := max(m.high-m.low, len(m.fine)/most, 1)
	n, total, square, rare := 0.0, 0.0, 0.0, 0.0
	for _, side := range [][2]int{{0, m.low}, {m.high, len(m.fine)}} {
		for k := side[0]; k+long <= side[1]; k += long {
			part := m.seenOf(k, k+long)
			counted, due := 0.0, m.level*part
			for _, c := range m.fine[k : k+long] {
				counted += float64(c)
			}
			if part > little*float64(long) {
				n, total = n+1, total+counted
				square += (counted - due) * (counted - due) / due
				rare += 1 / due
			}
		}
	}
	if n < 3 || total == 0 {
		return 0
	}
	beyond := square - (n - 1)
	if beyond < certainly*math.Sqrt(n*2+rare) {
		return 0
	}
	return math.Sqrt(beyond / (n - 1) * n / total)
}
