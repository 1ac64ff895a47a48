package correlate

import (
	"fmt"
	"io"
	"math"

	"tsrun/pipeline/tag"
)

// Coincidences are the pairs of two streams and what of them is chance.
//
// All counts every pair in the window; OneToOne lets each tag take part once,
// the earliest tags first, which is the largest number of pairs that share no
// tag. Accidentals is the mean number of pairs in windows of the same width
// shifted far away, where only chance makes pairs; Net is All minus that.
// Standard deviations are those of Poisson counts.
type Coincidences struct {
	Window        int64   `json:"window_ps"`
	TagsA         uint64  `json:"tags_a"`
	TagsB         uint64  `json:"tags_b"`
	Overlap       uint64  `json:"overlap_ps"` // the time both recorded, first to last tag, on A's scale
	All           uint64  `json:"all"`
	OneToOne      uint64  `json:"one_to_one"`
	Accidentals   float64 `json:"accidentals"`
	AccidentalsSD float64 `json:"accidentals_sd"`
	Net           float64 `json:"net"`
	NetSD         float64 `json:"net_sd"`
}

// Rate returns n per second of overlap and its standard deviation; zeros
// without overlap.
func (c Coincidences) Rate(n, sd float64) (rate, rateSD float64) {
	if c.Overlap == 0 {
		return 0, 0
	}
	return n * 1e12 / float64(c.Overlap), sd * 1e12 / float64(c.Overlap)
}

// CAR returns the coincidence-to-accidental ratio All/Accidentals and its
// standard deviation; ok is false when there were no accidentals.
func (c Coincidences) CAR() (ratio, sd float64, ok bool) {
	if c.Accidentals == 0 {
		return 0, 0, false
	}
	all := float64(c.All)
	ratio = all / c.Accidentals
	return ratio, math.Hypot(math.Sqrt(all)/c.Accidentals, ratio*c.AccidentalsSD/c.Accidentals), true
}

// Pair is two tags within the window.
type Pair struct {
	A, B     uint64 // ps, as recorded
	Delta    int64  // ps: B, corrected, minus A
	OneToOne bool   // whether the pair is one of those that share no tag
}

// CoincidenceOptions say what a coincidence is.
type CoincidenceOptions struct {
	Window     int64 // ps: pairs with |B - A| <= Window/2, both ends included
	Correction Correction
	Shift      int64            // ps between the windows of accidentals; 0: ten windows, at least 1 us
	Each       func(Pair) error // is given every pair, in order of A, then B; an error ends the count
}

const (
	shiftsEachSide = 4
	minShift       = int64(1_000_000) // ps: beyond dead times' echoes in most detectors
)

// Check says what is wrong with the options.
func (o CoincidenceOptions) Check() error {
	switch {
	case o.Window < 1:
		return fmt.Errorf("window is %d ps; it must be at least 1 ps", o.Window)
	case o.Window > maxRange/128:
		return &LimitError{What: "window", Value: fmt.Sprintf("%d ps", o.Window), Limit: "2.5 hours", Hint: "choose a shorter window"}
	case o.Shift != 0 && o.Shift <= o.Window:
		return fmt.Errorf("shift of %d ps is within the window of %d ps; choose a longer shift", o.Shift, o.Window)
	case o.Shift > maxRange/8:
		return &LimitError{What: "shift", Value: fmt.Sprintf("%d ps", o.Shift), Limit: "40 hours", Hint: "choose a shorter shift"}
	}
	return nil
}

// Coincide finds the coincidences of a and b, both in order of time.
func Coincide(a, b []uint64, o CoincidenceOptions) (Coincidences, error) {
	return CoincideStreams(tag.NewReader(a), tag.NewReader(b), o)
}

// CoincideStreams is [Coincide] for streams of any length; it holds only as
// many tags as the shifted windows need.
func CoincideStreams(a, b Stream, o CoincidenceOptions) (Coincidences, error) {
	if err := o.Check(); err != nil {
		return Coincidences{}, err
	}
	if o.Shift == 0 {
		o.Shift = max(10*o.Window, minShift)
	}
	half := o.Window / 2
	reach := shiftsEachSide*o.Shift + half
	j := newJoin(a, b, -reach, reach, o.Correction)
	s := sweep{half: half, shift: o.Shift, each: o.Each}
	for {
		block, raw, fixed, err := j.next()
		if err == io.EOF {
			return s.result(o.Window, j), nil
		}
		if err == nil {
			err = s.add(block, raw, fixed, j.dropped)
		}
		if err != nil {
			return Coincidences{}, err
		}
	}
}

// sweep counts pairs block by block.
type sweep struct {
	half, shift int64
	each        func(Pair) error
	all, one    uint64
	shifted     uint64 // pairs in all shifted windows together
	free        uint64 // index in B of the first tag no earlier pair has taken
}

func (s *sweep) add(a, raw, fixed []uint64, dropped uint64) error {
	s.all += countWithin(a, fixed, -s.half, s.half)
	for k := int64(1); k <= shiftsEachSide; k++ {
		s.shifted += countWithin(a, fixed, k*s.shift-s.half, k*s.shift+s.half)
		s.shifted += countWithin(a, fixed, -k*s.shift-s.half, -k*s.shift+s.half)
	}
	return s.match(a, raw, fixed, dropped)
}

// match gives each tag of A the first tag of B in its window that no earlier
// tag of A has taken, and lists the pairs if somebody listens.
func (s *sweep) match(a, raw, fixed []uint64, dropped uint64) error {
	from := search(len(fixed), func(i int) bool { return int64(fixed[i]-a[0]) >= -s.half })
	for _, t := range a {
		for from < len(fixed) && int64(fixed[from]-t) < -s.half {
			from++
		}
		mine := from
		if s.free > dropped {
			mine = max(from, int(s.free-dropped))
		}
		if mine < len(fixed) && int64(fixed[mine]-t) <= s.half {
			s.free = dropped + uint64(mine) + 1
			s.one++
		}
		if s.each == nil {
			continue
		}
		for k := from; k < len(fixed) && int64(fixed[k]-t) <= s.half; k++ {
			if err := s.each(Pair{A: t, B: raw[k], Delta: int64(fixed[k] - t), OneToOne: k == mine}); err != nil {
				return err
			}
		}
	}
	return nil
}

// countWithin counts the pairs with lo <= b - a <= hi by two pointers that
// never turn back, so equal times cost nothing extra.
func countWithin(a, b []uint64, lo, hi int64) (n uint64) {
	from := search(len(b), func(i int) bool { return int64(b[i]-a[0]) >= lo })
	to := from
	for _, t := range a {
		for from < len(b) && int64(b[from]-t) < lo {
			from++
		}
		for to < len(b) && int64(b[to]-t) <= hi {
			to++
		}
		n += uint64(to - from)
	}
	return n
}

func (s *sweep) result(window int64, j *join) Coincidences {
	c := Coincidences{Window: window, TagsA: j.a.count, TagsB: j.b.count, All: s.all, OneToOne: s.one}
	const windows = 2 * shiftsEachSide
	c.Accidentals = float64(s.shifted) / windows
	c.AccidentalsSD = math.Sqrt(float64(s.shifted)) / windows
	c.Net = float64(c.All) - c.Accidentals
	c.NetSD = math.Hypot(math.Sqrt(float64(c.All)), c.AccidentalsSD)
	if c.TagsA > 0 && c.TagsB > 0 {
		first, last := int64(j.correct.Apply(j.b.first)-j.a.first), int64(j.correct.Apply(j.b.last)-j.a.first)
		c.Overlap = uint64(max(0, min(last, int64(j.a.last-j.a.first))-max(first, 0)))
	}
	return c
}
