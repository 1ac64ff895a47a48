package correlate

import (
	"errors"
	"fmt"
)

// Scan is how many coincidences there are when B is moved: Counts[k] pairs
// have |B - A - d| <= Window/2 at the delay d = Start + k*Step. Windows of
// neighbouring delays overlap where Step is shorter than Window, so that a pair
// counts in each of them.
type Scan struct {
	Start   int64    `json:"start_ps"`
	Step    int64    `json:"step_ps"`
	Window  int64    `json:"window_ps"`
	Counts  []uint64 `json:"counts"`
	TagsA   uint64   `json:"tags_a"`
	TagsB   uint64   `json:"tags_b"`
	Overlap uint64   `json:"overlap_ps"` // the time both recorded, first to last tag, on A's scale
	Peak    *Peak    `json:"peak,omitempty"`
	NoPeak  string   `json:"no_peak,omitempty"` // why there can be none; empty where none stands out of chance
	// Periods are those that the light repeats after, in ps, shortest first. Chance
	// under the peak is then what is counted when B is moved by whole ones.
	Periods []float64 `json:"periods_ps,omitempty"`
	Warning string    `json:"warning,omitempty"` // why chance is not known
}

// ScanOptions say which delays to look at.
type ScanOptions struct {
	From, To int64 // ps: the first delay, and the one that none is beyond
	Step     int64 // ps, between delays
	Window   int64 // ps: pairs with |B - A - delay| <= Window/2, both ends included
}

const (
	maxDelays = 1 << 22
	fineBins  = 1 << 20 // of the histogram in which the peak is measured
)

// Check says what is wrong with the options.
func (o ScanOptions) Check() error {
	switch {
	case o.Step < 1:
		return fmt.Errorf("step is %d ps; it must be at least 1 ps", o.Step)
	case o.From > o.To:
		return fmt.Errorf("the scan goes from %d ps to %d ps; exchange the two", o.From, o.To)
	case o.From < -maxOffset || o.To > maxOffset || o.To-o.From > maxRange/8:
		return &LimitError{What: "scan", Value: fmt.Sprintf("%d ps to %d ps", o.From, o.To), Limit: "26 days, and 40 hours between the ends", Hint: "scan fewer delays"}
	case (o.To-o.From)/o.Step >= maxDelays:
		return &LimitError{What: "scan", Value: fmt.Sprintf("%d delays", (o.To-o.From)/o.Step+1), Limit: fmt.Sprintf("%d delays", maxDelays), Hint: "choose a longer step"}
	}
	return CoincidenceOptions{Window: o.Window}.Check()
}

// ScanDelays counts the coincidences of a and b at every delay, in one pass, and
// finds where most are. It holds only as many tags as the delays need.
func ScanDelays(a, b Channel, o ScanOptions) (Scan, error) {
	if err := errors.Join(o.Check(), differ([]Channel{a, b})); err != nil {
		return Scan{}, err
	}
	n := (o.To-o.From)/o.Step + 1
	half := o.Window / 2
	width := (n-1)*o.Step + 2*half + 1 // of all windows together
	b.Offset += o.From + width/2 - half
	g, err := newGather([]Channel{a, b}, width/2+1)
	if err != nil {
		return Scan{}, err
	}
	s := scanner{
		low: -(width / 2), width: width, step: o.Step, window: 2 * half, changes: make([]int64, n+1),
		bin: (width + fineBins - 1) / fineBins,
	}
	s.fine = make([]uint64, (width+s.bin-1)/s.bin)
	sky, moved := s.elsewhere(g)
	for {
		more, err := g.more()
		if err == nil && !more {
			r := Scan{Start: o.From, Step: o.Step, Window: o.Window, TagsA: g.lanes[0].count, TagsB: g.lanes[1].count, Overlap: g.overlap()}
			r.Counts = s.counts()
			for _, p := range sky.periods {
				r.Periods = append(r.Periods, p.length)
			}
			r.Peak, r.Warning = s.peak(r, o.From-half, s.seen(g), repeatedOf(g, sky, moved))
			if r.Peak == nil {
				r.NoPeak = s.noPeak(r, g)
			}
			return r, nil
		}
		for _, each := range append(moved, &s) {
			if err == nil {
				err = each.add(g.lanes[0].fixed[g.lanes[0].low:g.lanes[0].high], g.lanes[1].fixed)
			}
		}
		if err != nil {
			return Scan{}, err
		}
	}
}

// scanner counts the differences that lie in [low, low+width), low being the
// first that the first window holds. Windows are window+1 picoseconds wide.
type scanner struct {
	low, width   int64   // ps
	step, window int64   // ps
	changes      []int64 // nil: not asked for
	fine         []uint64
	bin          int64 // ps: width of the bins of fine
	by           int64 // ps: how far B is moved to count chance
	pairs        uint64
}

func (s *scanner) add(a, b []uint64) error {
	if len(a) == 0 {
		return nil
	}
	from := search(len(b), func(i int) bool { return int64(b[i]-a[0]) >= s.low })
	for i := 0; i < len(a); {
		t, same := a[i], int64(1)
		for i++; i < len(a) && a[i] == t; i++ {
			same++
		}
		for from < len(b) && int64(b[from]-t) < s.low {
			from++
		}
		k := from
		for ; k < len(b); k++ {
			d := int64(b[k]-t) - s.low
			if d >= s.width {
				break
			}
			s.count(d, same)
		}
		if s.pairs += uint64(same) * uint64(k-from); s.pairs > maxPairs {
			return &LimitError{What: "number of pairs in the scan", Value: "more than 68 thousand million", Limit: "that",
				Hint: "scan fewer delays, or check the files for tags that repeat"}
		}
	}
	return nil
}

// count enters pairs whose difference is d beyond low. The delays k whose
// windows hold it, k*step <= d <= k*step + window, follow one another, so only
// where they begin and where they end is noted.
func (s *scanner) count(d, same int64) {
	s.fine[d/s.bin] += uint64(same)
	if s.changes == nil {
		return
	}
	first := max(0, (d-s.window+s.step-1)/s.step)
	last := min(d/s.step, int64(len(s.changes))-2)
	if first <= last {
		s.changes[first] += same
		s.changes[last+1] -= same
	}
}

func (s *scanner) counts() []uint64 {
	counts := make([]uint64, len(s.changes)-1)
	n := int64(0)
	for k := range counts {
		n += s.changes[k]
		counts[k] = uint64(n)
	}
	return counts
}
