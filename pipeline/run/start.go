package run

import (
	"sort"

	"tsrun/pipeline/clock"
	"tsrun/pipeline/fact"
	"tsrun/pipeline/text"
)

// Start is when a node's controllers began: by the master's clock where a reading
// of the node's clock is known, else by the node's.
type Start struct {
	InstantNs      int64 `json:"instant_ns"`      // what the trigger asked for
	CompensationNs int64 `json:"compensation_ns"` // the node was fired this much earlier
	EstimateNs     int64 `json:"estimate_ns"`
	UncertaintyNs  int64 `json:"uncertainty_ns"` // the true start is within this of the estimate
	// LaterNs is how much later than expected the command was given and its answer came, together: what
	// a busy PC does to a start, or a latency that is not known yet. nil: nobody knows what to expect.
	LaterNs *int64 `json:"later_ns,omitempty"`
}

// ExpectedWithin is how much later than expected a start may be that nothing held up, with
// those of the other nodes together, in ns.
const ExpectedWithin = 25_000

// SkewRecord is how much later than the trigger's master a node started.
type SkewRecord struct {
	Node          string `json:"node"`
	Against       string `json:"against"`
	SkewNs        int64  `json:"skew_ns"`
	UncertaintyNs int64  `json:"uncertainty_ns"`
}

// EstimateStart says when a controller began that was fired compensation
// before the instant.
//
// The device began between Called and Returned: a hard bound, which holds
// whatever the device is like. A compensation is what the experimenter knows
// of the device's latency, so with one the estimate is Called plus it, moved
// into the bound; without one it is the middle. The uncertainty reaches the
// farther end of the bound. Where the device answers once it has begun and the way
// of its answers is known, the estimate is Returned less that, unless the answer came so
// late that it was held up: nobody knows on which way, and the middle is off by least. A shot that knows how
// much earlier it was fired tells it; compensation is for one that does not. Times of a shot are whole nanoseconds rounded
// down, so the bound ends one nanosecond after Returned and the uncertainty is
// never below 1 ns.
func EstimateStart(s fact.Shot, instant, compensation int64) Start {
	low, high := s.Called, s.Returned+1
	if high <= low { // a clock that was set back while the device was started
		low, high = s.Returned, s.Called+1
	}
	if s.CompensationNs != nil {
		compensation = *s.CompensationNs
	}
	estimate := low + (high-low)/2
	switch {
	case s.BackNs != nil && high-low > heldUpFrom+heldUpTimes*(text.Magnitude(compensation)+*s.BackNs):
	case s.BackNs != nil:
		estimate = min(max(high-*s.BackNs, low), high)
	case compensation > 0:
		estimate = min(max(low+compensation, low), high)
	}
	return Start{
		InstantNs: instant, CompensationNs: compensation,
		EstimateNs:    estimate,
		UncertaintyNs: max(estimate-low, high-estimate, 1),
		LaterNs:       later(s, compensation),
	}
}

// later is how much later than expected a controller was fired and answered, where its answer tells that it
// has begun: what it took longer than what it is fired earlier for and than its answer takes.
func later(s fact.Shot, compensation int64) *int64 {
	if s.BackNs == nil {
		return nil
	}
	return new(max(0, s.Called-s.Asked) + max(0, s.Returned-s.Called-compensation-*s.BackNs))
}

// An answer was held up that takes so many times what is expected, and so much more, in
// ns: a device whose latency nobody knows yet takes less.
const (
	heldUpFrom  = int64(1_000_000)
	heldUpTimes = 4
)

// NodeStart is the start of a node with one or more controllers: the middle of
// all that their estimates allow. ok is false when there was no shot. With a
// reading of the node's clock the start is by the master's clock, and its
// uncertainty includes that of the reading.
func NodeStart(shots []fact.Shot, instant, compensation int64, reading *clock.Reading) (start Start, ok bool) {
	if len(shots) == 0 {
		return Start{}, false
	}
	local := instant
	if reading != nil {
		local = reading.Translate(instant)
	}
	start = EstimateStart(shots[0], local, compensation)
	for _, s := range shots[1:] {
		other := EstimateStart(s, local, compensation)
		low := min(start.EstimateNs-start.UncertaintyNs, other.EstimateNs-other.UncertaintyNs)
		start.CompensationNs = max(start.CompensationNs, other.CompensationNs)
		high := max(start.EstimateNs+start.UncertaintyNs, other.EstimateNs+other.UncertaintyNs)
		start.EstimateNs = low + (high-low)/2
		start.UncertaintyNs = high - start.EstimateNs // the larger half
		start.LaterNs = latest(start.LaterNs, other.LaterNs)
	}
	if reading != nil {
		start.InstantNs = instant
		start.UncertaintyNs += reading.BoundAt(start.EstimateNs)
		start.EstimateNs = reading.Back(start.EstimateNs)
	}
	return start, true
}

// latest is the larger of two; nil where one is not known.
func latest(a, b *int64) *int64 {
	if a == nil || b == nil {
		return nil
	}
	return new(max(*a, *b))
}

// Skew is how much later node began than against, where both starts are by one clock or
// by clocks that were compared.
func Skew(node string, start Start, against string, master Start) SkewRecord {
	return SkewRecord{
		Node: node, Against: against,
		SkewNs:        start.EstimateNs - master.EstimateNs,
		UncertaintyNs: start.UncertaintyNs + master.UncertaintyNs,
	}
}

// Compared says whether the start of a node is by the clock of the master's PC: it runs
// there, or a clock source compared its PC's with that.
func (n *Node) Compared() bool {
	return n.Host == "local" || n.Clock != nil && n.Clock.Start != nil
}

// Unstamped says whether the times that the start was translated by are those of processes: the
// kernel of one of both PCs stamped nothing, then and since.
func (c *NodeClock) Unstamped() bool {
	by := func(r *clock.Reading) bool { return r == nil || r.Source == clock.Probe && !r.KernelStamps }
	return c.Start != nil && by(c.Start) && by(c.Last)
}

// Skews compares every node that recorded a start with the trigger's master, in order of
// name. Of clocks that nobody compared there is no skew: any bound of it could be wrong.
func (m *Manifest) Skews() []SkewRecord {
	return m.skews(func(n *Node) *Start { return n.Start })
}

// skews compares the starts of the nodes; nil is none.
func (m *Manifest) skews(startOf func(*Node) *Start) []SkewRecord {
	skews := []SkewRecord{}
	master := m.Nodes[m.Trigger.Master]
	if master == nil || startOf(master) == nil || !master.Compared() {
		return skews
	}
	for name, n := range m.Nodes {
		if start := startOf(n); start != nil && name != m.Trigger.Master && n.Compared() {
			skews = append(skews, Skew(name, *start, m.Trigger.Master, *startOf(master)))
		}
	}
	sort.Slice(skews, func(i, j int) bool { return skews[i].Node < skews[j].Node })
	return skews
}
