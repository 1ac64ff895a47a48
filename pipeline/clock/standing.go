package clock

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"
)

// The sources of a reading.
const (
	Probe  = "probe"
	PTP    = "ptp"
	Chrony = "chrony"
)

// Standing is how this PC's clock stands against the reference that a service of this
// PC keeps it at, as the service says.
type Standing struct {
	Source    string  `json:"source"`             // PTP or Chrony
	Reference string  `json:"reference"`          // what the clock is compared with: equal where two PCs follow one
	At        int64   `json:"at_ns"`              // on this PC's clock, ns since 1970
	Offset    int64   `json:"offset_ns"`          // this clock - the reference, at At
	Deviation float64 `json:"offset_sd_ns"`       // of Offset, by the scatter of what was read
	Bound     int64   `json:"bound_ns"`           // Offset is off by at most this, where what the service says is true
	Drift     float64 `json:"drift_ppb"`          // of this clock against the reference
	DriftSd   float64 `json:"drift_sd_ppb"`       // of Drift
	Delay     int64   `json:"delay_ns"`           // on the way to the reference and back
	State     string  `json:"state"`              // the service's word for it
	Readings  int     `json:"readings"`           // that it was worked out from
	Unsteady  bool    `json:"unsteady,omitempty"` // the readings keep to no line
	Lost      string  `json:"lost,omitempty"`     // why it is not to be believed; "": it is
}

// Followed is one reading of a service.
type Followed struct {
	At     int64  // on this PC's clock, ns since 1970
	Offset int64  // this clock - the reference, ns
	Doubt  int64  // what the service says Offset may be off by, ns
	Delay  int64  // to the reference and back, ns
	Loose  int64  // Offset may be of a moment that is up to this earlier, ns
	Of     string // the reference
	State  string
	Lost   string // why it is not to be believed
}

const (
	// followEvery is the time between two readings of a service.
	followEvery = 250 * time.Millisecond
	// followWindow is how many readings a standing is worked out from: those of 16 s at most.
	followWindow = 64
	followTime   = int64(16e9)
	// LeastFollowed is how many readings a standing needs.
	LeastFollowed = 4
	// silentAfter is how long a service may say nothing new.
	silentAfter = 5 * time.Second
)

// follower keeps the last readings of one service.
type follower struct {
	source string

	mu     sync.Mutex
	window []Followed
	last   Followed // also one that is lost
	heard  time.Time
	shift  time.Duration // the PC's clock minus the time since began, at the last reading
}

// note enters a reading. A change of reference begins anew, and so does
// a clock that was set.
func (f *follower) note(r Followed, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	shift := shiftAt(now)
	turned := shift - f.shift
	set := turned > stepLimit || turned < -stepLimit
	if len(f.window) > 0 && (set || f.window[0].Of != r.Of) {
		f.window = nil
	}
	f.last, f.shift = r, shift
	if r.Lost != "" {
		f.window = nil
		return
	}
	f.heard = now
	f.window = append(f.window, r)
	for len(f.window) > followWindow || f.window[0].At < r.At-followTime || f.window[0].At > r.At {
		f.window = f.window[1:]
	}
}

// standing works out how the clock stands. ok: the service has said something.
func (f *follower) standing(now time.Time) (s Standing, ok bool) {
	f.mu.Lock()
	window, last, heard := slices.Clone(f.window), f.last, f.heard
	f.mu.Unlock()
	if last == (Followed{}) {
		return Standing{}, false
	}
	s = Standing{Source: f.source, Reference: last.Of, At: now.UnixNano(), State: last.State, Lost: last.Lost}
	switch {
	case s.Lost != "":
		return s, true
	case len(window) < LeastFollowed:
		return Standing{}, false
	case now.Sub(heard) > silentAfter:
		s.Lost = "it has said nothing new for " + now.Sub(heard).Round(time.Second).String()
		return s, true
	}
	s.work(window)
	return s, true
}

// work lays a line through readings: the median of all slopes, and the median of what
// is left (H. Theil 1950, P. K. Sen 1968).
func (s *Standing) work(window []Followed) {
	first := window[0]
	var slopes []float64
	for i, a := range window {
		for _, b := range window[:i] {
			if apart := a.At - b.At; apart > 0 {
				slopes = append(slopes, float64(a.Offset-b.Offset)/float64(apart))
			}
		}
	}
	drift := 0.0
	if len(slopes) > 0 {
		drift = max(-maxDrift, min(maxDrift, median(slopes)))
	}
	left := make([]float64, len(window))
	for i, r := range window {
		left[i] = float64(r.Offset-first.Offset) - drift*float64(r.At-first.At)
	}
	middle := median(slices.Clone(left))
	var apart []float64
	for i, r := range window {
		apart = append(apart, math.Abs(left[i]-middle))
		s.Delay = max(s.Delay, r.Delay)
	}
	const normal = 1.4826 // the deviation of normal distances is so many times their median
	n := float64(len(window))
	widest := slices.Max(apart)
	spread := normal*median(apart)*(1+4/n) + resolution
	span := math.Max(float64(window[len(window)-1].At-first.At), 1)
	doubt := slices.MaxFunc(window, func(a, b Followed) int { return cmp.Compare(a.Doubt, b.Doubt) }).Doubt
	loose := slices.MaxFunc(window, func(a, b Followed) int { return cmp.Compare(a.Loose, b.Loose) }).Loose
	driftSd := spread * math.Sqrt(12/n) / span
	reach := float64(s.At - first.At)
	value := middle + drift*(reach-float64(loose)/2)
	s.Offset = first.Offset + int64(math.Round(value))
	s.Drift, s.DriftSd = drift*1e9, driftSd*1e9
	s.Deviation = math.Hypot(spread/math.Sqrt(n), driftSd*reach)
	s.Bound = doubt + int64(math.Ceil(widest+3*driftSd*reach+math.Abs(drift)*float64(loose)/2)) + resolution
	s.Readings = len(window)
	s.Unsteady = widest > 20*spread+float64(doubt)
}

// Plausible reports whether a standing that came over the network can be one.
func (s *Standing) Plausible() bool {
	const long = int64(1) << 60 // ns: 36 years
	return (s.Source == PTP || s.Source == Chrony) && len(s.Reference)+len(s.State)+len(s.Lost) < 4096 &&
		-far < s.At && s.At < far && -long < s.Offset && s.Offset < long && 0 <= s.Bound && s.Bound < long && 0 <= s.Delay && s.Delay < long &&
		s.Deviation >= 0 && s.Deviation < float64(long) && s.DriftSd >= 0 && s.DriftSd < float64(long) && math.Abs(s.Drift) <= 2e9*maxDrift
}

// against returns how far this PC's clock is ahead of the other's, where both follow
// one reference. other was heard at a moment of this PC's clock. served: the other PC
// is this one's server, so that its own way to a reference does not matter. why says
// why they cannot be compared.
func (s Standing) against(other Standing, heard, now int64, served bool) (r Reading, why string) {
	switch {
	case s.Lost != "":
		return r, "here: " + s.Lost
	case other.Lost != "" && !served:
		return r, "at the master: " + other.Lost
	case served:
		other.Bound, other.Deviation = 0, 0
	case s.Reference != other.Reference:
		return r, fmt.Sprintf("the clocks follow two references: %s here, %s at the master", s.Reference, other.Reference)
	}
	age := float64(now - heard)
	at := float64(other.Offset) + other.Drift*1e-9*age
	return Reading{Source: s.Source, Reference: s.Reference, At: now,
		Offset: s.Offset - int64(math.Round(at)), Deviation: math.Hypot(s.Deviation, other.Deviation),
		Bound: s.Bound + other.Bound + int64(math.Ceil((3*other.DriftSd*1e-9+wander)*math.Abs(age))) + resolution,
		Drift: s.Drift - other.Drift, DriftSd: math.Hypot(s.DriftSd, other.DriftSd),
		Exchanges: s.Readings, Trip: s.Delay, Unstable: s.Unsteady || other.Unsteady}, ""
}
