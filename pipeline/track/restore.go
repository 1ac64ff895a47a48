package track

import (
	"encoding/json"
	"fmt"
	"sort"

	"tsrun/pipeline/correlate"
)

// UnmarshalJSON reads a track that was written. Between its knots it is then
// known a little less well than before: how their errors go together is not
// written.
func (t *Track) UnmarshalJSON(text []byte) error {
	type plain Track
	var read plain
	if err := json.Unmarshal(text, &read); err != nil {
		return fmt.Errorf("read a track: %w", err)
	}
	if err := (*Track)(&read).restore(); err != nil {
		return fmt.Errorf("read a track: %w", err)
	}
	*t = Track(read)
	return nil
}

// Through returns the track along knots of a clock that was found in another
// way, or in parts: of t, what its knots, steps and noise make it. Knots and steps
// are in order of time, each step between two knots.
func Through(t Track) (*Track, error) {
	if err := t.restore(); err != nil {
		return nil, err
	}
	return &t, nil
}

// restore makes the path from the knots.
func (t *Track) restore() error {
	if len(t.Knots) == 0 {
		return nil
	}
	first := t.Knots[0]
	t.frame = newFrame(Seed{Line: correlate.Line{Reference: first.Time, Offset: first.Offset.Whole}})
	p := &path{noise: noise{squared(t.Noise.WhiteFM * second), squared(t.Noise.RandomWalkFM * second)}}
	for i, k := range t.Knots {
		at := t.since(k.Time)
		if i > 0 && at <= p.slices[i-1].at {
			return fmt.Errorf("knot %d, at %d ps, is not after the one before it", i, k.Time)
		}
		p.slices = append(p.slices, slice{from: at, to: at, at: at, t: float64(at) / second, n: k.Pairs})
		p.all = append(p.all, state{
			x: k.Offset.Minus(t.offsetAt(k.Time)), y: k.Frequency / 1e9 * second,
			xx: squared(k.OffsetSD), yy: squared(k.FrequencySD / 1e9 * second),
		})
	}
	for i, s := range t.Steps {
		at := t.since(s.Time)
		before := sort.Search(len(p.slices), func(i int) bool { return p.slices[i].at >= at })
		if i > 0 && int64(s.Time-t.Steps[i-1].Time) <= 0 || before == 0 || before == len(p.slices) {
			return fmt.Errorf("step %d, at %d ps, is not between knots, after the one before it", i, s.Time)
		}
		p.leaps = append(p.leaps, leap{before: before, at: at, sd: s.TimeSD, anew: s.FrequencySD > 0})
	}
	t.path = p
	return nil
}

func squared(v float64) float64 { return v * v }

// straightBetween is the clock between slices i-1 and i of a restored path, as
// if the errors of both were the same; what the clock may do between them is
// that of a walk from one to the other.
func (p *path) straightBetween(i int, t float64) state {
	left, right := &p.all[i-1], &p.all[i]
	dt := p.slices[i].t - p.slices[i-1].t
	w := (t - p.slices[i-1].t) / dt
	mix := func(a, b float64) float64 { return (1-w)*a + w*b }
	free := w * (1 - w) * dt * (p.noise.qx + p.noise.qy*dt*dt*w*(1-w)/3)
	return state{
		x: mix(left.x, right.x), y: (right.x - left.x) / dt,
		xx: mix(left.xx, right.xx) + free, yy: mix(left.yy, right.yy),
	}
}
