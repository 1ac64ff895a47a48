// Package calibrate says what compensation would have started the controllers of a run
// together, as the photons show it, and writes it into the recipe.
package calibrate

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"tsrun/pipeline/align"
	"tsrun/pipeline/clock"
	"tsrun/pipeline/fact"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/stage"
	"tsrun/pipeline/text"
	"tsrun/sdk/quantity"
)

// Proposal is what calibrate finds of a run.
type Proposal struct {
	Run          string         `json:"run"` // its directory
	Simulated    bool           `json:"simulated"`
	Pairs        []Pair         `json:"pairs"`
	Compensation []Compensation `json:"compensation"`
	Lines        []string       `json:"lines"`   // for the recipe
	Refused      string         `json:"refused"` // why nothing is proposed; "": something is
	Hint         string         `json:"hint"`
	Written      []Written      `json:"written"`
}

// Pair is how two nodes started, by an align stage. Times are ns.
type Pair struct {
	Stage     string   `json:"stage"`
	Reference string   `json:"reference"` // channel
	Target    string   `json:"target"`
	Shot      int      `json:"shot,omitempty"` // which one, of several
	Later     *float64 `json:"later_ns"`       // by so much the target began later, as the photons say
	LaterSD   *float64 `json:"later_sd_ns"`
	// What was known before of the same, and how far that may be off.
	Predicted      *int64 `json:"predicted_ns"`
	PredictedBound *int64 `json:"predicted_bound_ns"`
	// Fired is by how much later the target's command was given after its moment than
	// the reference's: that is chance, and no compensation is for it.
	Fired      *int64 `json:"fired_ns"`
	ClockBound *int64 `json:"clock_bound_ns"` // the comparison of the two PCs' clocks may be so far off
	Change     *int64 `json:"change_ns"`      // of the target's compensation against the reference's
	// Of several shots: how many say so, and how far these let the change be off. What
	// stands above is of the one in their middle.
	Shots    int      `json:"shots,omitempty"`
	ChangeSD *float64 `json:"change_sd_ns,omitempty"`
	Refused  string   `json:"refused"` // why nothing is proposed of the two
	Hint     string   `json:"hint"`

	reference, target string // nodes
	difference        int64  // the target's compensation should be so much more than the reference's
}

// Compensation is that of a node, in ns.
type Compensation struct {
	Node    string `json:"node"`
	Was     int64  `json:"was_ns"` // beside what is measured, with auto
	Is      int64  `json:"is_ns"`
	WasText string `json:"was"` // as a recipe says it
	Text    string `json:"text"`
}

const (
	// step is what proposals are whole numbers of: no start is known or repeated better.
	step = 100
	// most is the greatest compensation that a recipe may have.
	most = int64(recipe.MaxCompensation / quantity.Nanosecond)
)

// Of works out what a run proposes.
func Of(dir string) (*Proposal, *run.Manifest, error) {
	m, r, err := run.ReadRun(dir)
	if err != nil {
		return nil, nil, err
	}
	if err := m.Known(dir); err != nil {
		return nil, nil, err
	}
	p := propose(m, r)
	p.Run = dir
	return p, m, nil
}

func propose(m *run.Manifest, r *recipe.Recipe) *Proposal {
	p := &Proposal{Simulated: m.Has(run.Simulated), Pairs: []Pair{}, Compensation: []Compensation{}, Lines: []string{}, Written: []Written{}}
	if p.Refused, p.Hint = unfit(m); p.Refused != "" {
		return p
	}
	skipped := ""
	for _, result := range m.Results {
		if result.Kind != "align" {
			continue
		}
		if result.Skipped != "" {
			skipped = fmt.Sprintf("align %q was skipped: %s", result.Stage, result.Skipped)
		}
		if s, ok := stage.DecodeSummary[stage.AlignSummary](result); ok {
			if pair := pairOf(m, r, result.Stage, s); pair.reference != pair.target {
				p.Pairs = append(p.Pairs, pair)
			}
		}
	}
	switch {
	case len(p.Pairs) == 0 && skipped != "":
		p.refuse(skipped, "mend that first")
	case len(p.Pairs) == 0:
		p.Refused, p.Hint = "no align stage compares channels of two nodes, and the photons alone tell when a controller began", "add one to the recipe: {stage: align, config: {reference: …, target: …}}"
	default:
		p.solve(m, r)
	}
	return p
}

// unfit says why a run tells nothing of compensation.
func unfit(m *run.Manifest) (why, hint string) {
	restarted := false
	for _, n := range m.Nodes {
		restarted = restarted || len(n.Restarts) > 0
	}
	switch {
	case m.Local != nil || len(m.Parts) > 0:
		return "its nodes were recorded apart, each at its own time", "calibrate with a run that a master started"
	case len(m.Nodes) < 2:
		return "it has one node, and a start is compared with another's", "calibrate with a run of two nodes"
	case m.Trigger.Method == "broadcast":
		return "its nodes were fired when they had the order (trigger.method: broadcast), and none can be fired before that", "calibrate with method: scheduled"
	case m.Trigger.Method != "scheduled":
		return "a START pulse started all controllers, and no command can be moved", "nothing is to be done: the cables decide"
	case restarted:
		return "controllers were started anew within the run", "calibrate with a run in which no node was lost"
	}
	return "", ""
}

// pairOf compares the starts of the two nodes of an align stage.
func pairOf(m *run.Manifest, r *recipe.Recipe, name string, s stage.AlignSummary) (p Pair) {
	p = Pair{Stage: name, Reference: s.Reference, Target: s.Target}
	p.reference, _, _ = strings.Cut(s.Reference, ".")
	p.target, _, _ = strings.Cut(s.Target, ".")
	if s.Refused || s.Alignment == nil {
		p.Refused, p.Hint = fmt.Sprintf("align %q found no offset: %s", name, s.Reason), s.Hint
		return p
	}
	if len(s.Shots) > 0 {
		p.compareShots(m, r, s.Shots)
	} else {
		p.compareShot(m, r, *s.Alignment, shotAt(m.Nodes[p.reference], s.Alignment.Start))
	}
	p.judgeClocks()
	return p
}

// begun is what is known of the start of a node in one shot.
type begun struct {
	fired        int64 // ns after its moment the command was given
	compensation int64 // that was used, beside what was measured before the run
	clockBound   int64
	start        run.Start
}

// compareShot compares the starts of one shot, counted from 0.
func (p *Pair) compareShot(m *run.Manifest, r *recipe.Recipe, found align.Alignment, shot int) {
	if len(m.Trigger.Shots) > 0 {
		p.Shot = shot + 1
	}
	a, why := begunIn(m, p.reference, p.Reference, shot)
	b, whyNot := begunIn(m, p.target, p.Target, shot)
	if why += whyNot; why != "" {
		p.Refused, p.Hint = why, "calibrate with a run in which all controllers were started"
		return
	}
	// The offset is that at the first tags; the start was before.
	since := float64(found.Start - min(found.Start, m.Nodes[p.reference].ShotAt(shot)))
	found.StartOffset = found.StartOffset.Plus(-found.Frequency * 1e-9 * since)
	later := stage.LaterByPhotons(r, p.Reference, p.Target, found)
	sd := math.Hypot(found.StartSD, found.FrequencySD*1e-9*since) / 1000
	predicted := run.Skew(p.target, b.start, p.reference, a.start)
	fired, clocks := b.fired-a.fired, a.clockBound+b.clockBound
	p.Later, p.LaterSD, p.Fired, p.ClockBound = &later, &sd, &fired, &clocks
	p.Predicted, p.PredictedBound = &predicted.SkewNs, &predicted.UncertaintyNs
	if needs := float64(b.compensation-a.compensation) + later - float64(fired); math.Abs(needs) > float64(2*most) {
		p.Refused = fmt.Sprintf("%s would need %.6g ms more than %s, which no compensation is for", p.target, needs/1e6, p.reference)
		p.Hint = "look at the clocks of both PCs: tsrun doctor"
		return
	}
	change := text.Rounded((later-float64(fired))/step) * step
	p.Change, p.difference = &change, b.compensation-a.compensation+change
}

// judgeClocks refuses to change what may be the clocks' own difference.
func (p *Pair) judgeClocks() {
	if p.Refused != "" || p.Change == nil {
		return
	}
	if change, clocks := *p.Change, *p.ClockBound; text.Magnitude(change) <= clocks && change != 0 {
		p.Refused = fmt.Sprintf("the clocks of %s and %s were compared to within %s, and what would be changed, %s, is less: it may be theirs",
			p.reference, p.target, nanoseconds(clocks), nanoseconds(text.Magnitude(change)))
		p.Hint = "compare the clocks better, by ptp or over a better network, or leave the compensation as it is"
	}
}

// begunIn is how a controller was started in a shot, counted from 0.
func begunIn(m *run.Manifest, node, channel string, shot int) (b begun, why string) {
	n := m.Nodes[node]
	_, name, _ := strings.Cut(channel, ".")
	if n == nil || n.Channels[name] == nil {
		return b, fmt.Sprintf("the run has no channel %s; ", channel)
	}
	controller := n.Channels[name].Controller
	start, fired, reading := n.Start, (*fact.Shot)(nil), (*clock.Reading)(nil)
	if n.Clock != nil {
		reading = n.Clock.Start
	}
	if c := n.Controllers[controller]; c != nil {
		fired = c.Shot
	}
	if len(m.Trigger.Shots) > 0 {
		start, fired = n.StartOf(shot), nil
		if shot < len(n.Takes) {
			reading = n.Takes[shot].Clock
			if s, ok := n.Takes[shot].Shots[controller]; ok {
				fired = &s
			}
		}
	}
	switch {
	case start == nil || fired == nil:
		return b, fmt.Sprintf("controller %s.%s was not started; ", node, controller)
	case n.Host != "local" && reading == nil:
		return b, fmt.Sprintf("nothing compared the clock of %s with the master's, so that the offset holds their difference; ", node)
	}
	b = begun{fired: fired.Called - fired.Asked, compensation: usedBeside(*start, *fired, n.Controllers[controller]), start: *start}
	if n.Host != "local" {
		b.clockBound = reading.BoundAt(fired.Called)
	}
	return b, ""
}

// usedBeside is the compensation of a shot without what was measured before the run.
func usedBeside(start run.Start, fired fact.Shot, c *run.Controller) int64 {
	used := start.CompensationNs
	if fired.CompensationNs != nil {
		used = *fired.CompensationNs
	}
	if c != nil && c.Compensation != nil && c.Compensation.MeasuredNs != nil {
		used -= *c.Compensation.MeasuredNs
	}
	return used
}

// shotAt is the shot that has a time of the run, counted from 0.
func shotAt(n *run.Node, ps uint64) (shot int) {
	if n == nil {
		return 0
	}
	for i, t := range n.Takes {
		if t.At <= ps {
			shot = i
		}
	}
	return shot
}

// solve works out the compensation of each node from the differences: one node of
// those that are compared keeps its own, the trigger's master where it is among them.
func (p *Proposal) solve(m *run.Manifest, r *recipe.Recipe) {
	known := map[string]int64{}
	for _, node := range m.NodeOrder() {
		if _, ok := known[node]; ok || !p.compared(node) {
			continue
		}
		known[node] = was(r, node)
		for again := true; again; {
			again = false
			for _, pair := range p.Pairs {
				a, knowsA := known[pair.reference]
				b, knowsB := known[pair.target]
				switch {
				case pair.Refused != "" || knowsA == knowsB:
					continue
				case knowsA:
					known[pair.target] = a + pair.difference
				default:
					known[pair.reference] = b - pair.difference
				}
				again = true
			}
		}
	}
	for _, node := range m.NodeOrder() {
		value, ok := known[node]
		switch {
		case !ok || value == was(r, node):
		case text.Magnitude(value) > most:
			p.refuse(fmt.Sprintf("%s would need a compensation of %s, and the greatest is %s", node, nanoseconds(value), nanoseconds(most)), "look at its clock and its controller: that is no latency")
		default:
			is := r.Trigger.Compensation[node]
			is.Time = quantity.Time(value) * quantity.Nanosecond
			c := Compensation{Node: node, Was: was(r, node), Is: value, WasText: r.Trigger.Compensation[node].String(), Text: is.String()}
			p.Compensation = append(p.Compensation, c)
			p.Lines = append(p.Lines, fmt.Sprintf("    %s: %s", c.Node, c.Text))
		}
	}
	if p.Refused != "" {
		p.Compensation, p.Lines = []Compensation{}, []string{}
	}
	if len(p.Lines) > 0 {
		p.Lines = slices.Concat([]string{"trigger:", "  compensation:"}, p.Lines)
		return
	}
	for _, pair := range p.Pairs {
		if pair.Refused != "" {
			p.refuse(pair.Refused, pair.Hint)
		}
	}
}

// refuse keeps the first reason.
func (p *Proposal) refuse(why, hint string) {
	if p.Refused == "" {
		p.Refused, p.Hint = why, hint
	}
}

// compared reports whether a pair tells something of a node.
func (p *Proposal) compared(node string) bool {
	return slices.ContainsFunc(p.Pairs, func(pair Pair) bool {
		return pair.Refused == "" && (pair.reference == node || pair.target == node)
	})
}

// was is the compensation of a node in the recipe of the run.
func was(r *recipe.Recipe, node string) int64 {
	return r.Trigger.Compensation[node].Time.Duration().Nanoseconds()
}

func nanoseconds(ns int64) string { return (quantity.Time(ns) * quantity.Nanosecond).String() }
