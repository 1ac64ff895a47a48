package clock

import (
	"math"
	"slices"
	"time"
)

const (
	// LeastExchanges is how many exchanges a reading needs.
	LeastExchanges = 8
	// maxDrift is how fast a clock may run, as a fraction: crystals are within
	// 100 ppm, and services that steer a clock turn it by 500 ppm at most.
	maxDrift = 700e-6
	// wander is how much the drift may change within a window, as a fraction: what a
	// crystal does within seconds while its temperature changes.
	wander = 0.02e-6
	// resolution is how finely the times are given, in ns.
	resolution = 1
)

// Reading says how far this PC's clock is ahead of another one's, and how well
// that is known.
type Reading struct {
	At           int64   `json:"at_ns"`              // on this PC's clock, ns since 1970
	Offset       int64   `json:"offset_ns"`          // this clock - the other's, at At
	Deviation    float64 `json:"offset_sd_ns"`       // of Offset, where both ways take equally long
	Bound        int64   `json:"bound_ns"`           // Offset is off by at most this, whatever the network does
	Drift        float64 `json:"drift_ppb"`          // of this clock against the other's
	DriftSd      float64 `json:"drift_sd_ppb"`       // of Drift
	Exchanges    int     `json:"exchanges"`          // that it was worked out from
	Trip         int64   `json:"round_trip_ns"`      // the smallest
	KernelStamps bool    `json:"kernel_stamps"`      // the kernels of both PCs stamped the times
	Unstable     bool    `json:"unstable,omitempty"` // the clocks or the network changed while they were watched
	Steps        int     `json:"steps,omitempty"`    // how often either clock was set, since the first probe

	Source    string   `json:"source"`              // who says so: Probe, PTP or Chrony
	Reference string   `json:"reference,omitempty"` // what both clocks follow, of PTP and Chrony
	Lost      string   `json:"lost,omitempty"`      // why that source is not to be believed any more; the numbers are its last
	Others    []Others `json:"others,omitempty"`    // what the other sources say
}

// Others is what a source says by which a reading was not made.
type Others struct {
	Source    string `json:"source"`
	Reference string `json:"reference,omitempty"`
	Offset    int64  `json:"offset_ns"`
	Bound     int64  `json:"bound_ns"`
	Excluded  bool   `json:"excluded,omitempty"` // it and the reading cannot both be right
	Why       string `json:"why,omitempty"`      // it says nothing: why
}

// read works out a reading for the moment at, in ns of this PC's clock, from
// exchanges in the order of time. ok: there were enough of them. Where no straight
// line keeps the bounds of all, because a clock was turned faster or slower, the
// younger half of them is taken, and so on.
func read(window []Exchange, at int64) (r Reading, ok bool) {
	if len(window) < LeastExchanges {
		return Reading{}, false
	}
	bent := false
	for {
		points, origin, offset := pointsOf(window)
		l := fit(points)
		if l.margin < 0 {
			bent = true
			if younger := window[len(window)/2:]; len(younger) >= LeastExchanges {
				window = younger
				continue
			}
		}
		r = readingOf(points, l, float64(at-origin))
		r.At, r.Offset, r.Source = at, r.Offset+offset, Probe
		r.Unstable = r.Unstable || bent
		return r, true
	}
}

// readingOf reads a line through points at a moment; offset and time are relative, as they are.
func readingOf(points []point, l line, at float64) Reading {
	last := points[len(points)-1]
	points = levelled(points, l.drift)
	value := l.at(at)
	quick := quickest(points, (len(points)+1)/2)
	least := math.Inf(1)
	var apart []float64 // of the quick ones from the line
	for _, p := range quick {
		least = min(least, p.trip())
		apart = append(apart, math.Abs(p.middle()-l.at(p.t)))
	}
	const normal = 1.4826 // the deviation of normal distances is so many times their median
	n, span := float64(len(quick)), max(points[len(points)-1].t-points[0].t, 1)
	spread := normal*median(apart)*(1+4/n) + resolution // the median of few is often small
	driftSd := spread * math.Sqrt(12/n) / span
	age := max(at-points[len(points)-1].t, 0)

	// A second way to the same number: where the two differ by more than either can
	// be off by, the clocks or the network changed while they were watched.
	var middles []float64
	for _, p := range quickest(points, max(3, len(points)/10)) {
		middles = append(middles, p.middle()-l.drift*(p.t-at))
	}
	apartBy := math.Abs(median(middles) - value)

	low, high := l.limits(at)
	if l.margin < 0 { // the clock was turned meanwhile: what the youngest exchange says holds all the same
		low, high = last.low-maxDrift*math.Abs(at-last.from), last.high+maxDrift*math.Abs(at-last.until)
	}
	return Reading{
		Offset:    int64(math.Round(value)),
		Deviation: math.Hypot(math.Hypot(spread/math.Sqrt(n), apartBy/2), driftSd*math.Abs(at-l.middle)) + wander*age,
		Bound:     int64(math.Ceil(max(high-value, value-low, least/2) + wander*(age+span/2))),
		Drift:     l.drift * 1e9, DriftSd: driftSd * 1e9,
		Exchanges: len(points), Trip: int64(least),
		Unstable: l.margin < 0 || apartBy > max(least/2, 5*spread),
	}
}

// quickest returns the n points with the smallest round trips, in the order of time.
func quickest(points []point, n int) []point {
	sorted := slices.Clone(points)
	slices.SortStableFunc(sorted, func(a, b point) int {
		switch {
		case a.trip() < b.trip():
			return -1
		case a.trip() > b.trip():
			return 1
		}
		return 0
	})
	limit := sorted[n-1].trip()
	quick := make([]point, 0, n)
	for _, p := range points {
		if p.trip() <= limit && len(quick) < n {
			quick = append(quick, p)
		}
	}
	return quick
}

// median returns the middle value; it orders values.
func median(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

// Translate returns when this PC's clock shows the moment that is instant on the
// other's, in ns since 1970.
func (r Reading) Translate(instant int64) int64 {
	local := instant + r.Offset
	return local + int64(math.Round(r.Drift*1e-9*float64(local-r.At)))
}

// Back returns when the other's clock shows a moment of this PC's, in ns since 1970.
func (r Reading) Back(local int64) int64 {
	return local - r.Offset - int64(math.Round(r.Drift*1e-9*float64(local-r.At)))
}

// BoundAt is how far off Translate may be at a moment of this PC's clock, in ns.
func (r Reading) BoundAt(local int64) int64 {
	age := math.Abs(float64(local - r.At))
	return r.Bound + int64(math.Ceil((3*r.DriftSd*1e-9+wander)*age))
}

// By names what the clocks were compared by.
func (r Reading) By() string {
	switch {
	case r.Reference != "":
		return r.Reference
	case r.KernelStamps:
		return Probe + ", stamps of the kernels"
	}
	return Probe + ", stamps of the processes"
}

// StampsHint is what to do where the kernel stamps no packets.
const StampsHint = "use a kernel with SO_TIMESTAMPING (any Linux since 3.17; some containers filter it)"

// Farthest is how far apart the clocks may be at most, in ns.
func (r Reading) Farthest() int64 { return max(r.Offset, -r.Offset) + r.Bound }

// Age is how long ago the reading was made.
func (r Reading) Age(now time.Time) time.Duration { return time.Duration(now.UnixNano() - r.At) }

// Plausible reports whether a reading that came over the network can be one.
func (r Reading) Plausible() bool {
	return -far < r.At && r.At < far && -far < r.Offset && r.Offset < far && 0 <= r.Bound && r.Bound < far &&
		0 <= r.Trip && r.Trip < far && r.Exchanges > 0 && r.Deviation >= 0 && r.DriftSd >= 0 &&
		math.Abs(r.Drift) <= 2e9*maxDrift && r.Steps >= 0 && slices.Contains([]string{Probe, PTP, Chrony}, r.Source) &&
		len(r.Reference)+len(r.Lost) < 4096 && len(r.Others) <= 3
}
