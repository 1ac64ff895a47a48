package stage

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"tsrun/pipeline/align"
	"tsrun/pipeline/mesh"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/text"
	"tsrun/pipeline/track"
)

// all stands for the channels of all other controllers.
const all = "all"

// MaxClocks is how many clocks, with that of the reference, one stage finds.
const MaxClocks = 32

// Several says whether the stage finds the clocks of several controllers together.
func (c AlignConfig) Several() bool { return len(c.Others) > 0 }

// Each are the stages of two channels that find each clock against the reference: of a
// stage for one clock that stage itself.
func (c AlignConfig) Each(r *recipe.Recipe) (each []AlignConfig) {
	if !c.Several() {
		return []AlignConfig{c}
	}
	for _, target := range c.others(r) {
		each = append(each, c.between(c.Reference, target))
	}
	return each
}

// others are the channels whose clocks are found, one of each controller.
func (c AlignConfig) others(r *recipe.Recipe) []string {
	if !slices.Equal(c.Others, []string{all}) {
		return c.Others
	}
	one, _ := r.OtherClocks(c.Reference)
	return one
}

// between is the stage of two of the channels.
func (c AlignConfig) between(reference, target string) AlignConfig {
	c.Reference, c.Target, c.Others = reference, target, nil
	return c
}

// network is the clocks of several controllers, found together.
type network struct {
	names  []string // of the channels, the reference's first
	pairs  []*networkPair
	good   []*networkPair // those that were found, as they are solved
	found  *clocks        // by the pairs alone, by name of channel
	from   uint64         // on the reference's clock: the time that all pairs have in common,
	to     uint64         // where they have any
	at     uint64         // the moment at which the clocks are told
	middle *mesh.Solution
	start  *mesh.Solution // the same, at from
	shared bool           // pairs seem to share photons, and deviations are wider for it
}

// networkPair is what two of the channels say of each other.
type networkPair struct {
	a, b   int // their places among the names
	config AlignConfig
	said   AlignSummary
	foundClock
}

// alignSeveral finds the clocks of all targets, remembers them for later stages, and
// writes a summary of all, one file for each clock, and the tracks.
func (a *analysis) alignSeveral(c AlignConfig, result *run.Result) (AlignSummary, error) {
	n, summary, err := a.findNetwork(c)
	if err != nil {
		return summary, err
	}
	a.noticeNetwork(result.Stage, n, summary)
	if err := a.json(result, summary); err != nil {
		return summary, err
	}
	tracks := false
	for _, s := range summary.Clocks {
		if s.Refused {
			continue
		}
		if err := a.jsonOf(result, "-"+run.PlainName(s.Target), s); err != nil {
			return summary, err
		}
		tracks = tracks || s.Alignment.Track != nil
	}
	if tracks {
		err = a.table(result, TrackColumns, n.names, func(w io.Writer) error { return WriteTracks(w, summary.Clocks) })
	}
	short := summary
	short.Clocks = nil
	for _, s := range summary.Clocks {
		s.Alignment = s.Alignment.WithoutKnots()
		short.Clocks = append(short.Clocks, s)
	}
	return short, err
}

// TrackColumns are those of a table of the tracks of several clocks.
var TrackColumns = "target," + strings.Join(KnotColumns, ",")

// WriteTracks writes a line for each knot of each clock.
func WriteTracks(w io.Writer, clocks []AlignSummary) error {
	var line []byte
	for _, s := range clocks {
		if s.Alignment == nil || s.Alignment.Track == nil {
			continue
		}
		for _, k := range s.Alignment.Track.Knots {
			line = AppendKnot(append(append(line[:0], s.Target...), ','), k)
			if _, err := w.Write(line); err != nil {
				return err
			}
		}
	}
	return nil
}

// findNetwork aligns the channels, two by two, and makes one solution of what they say.
func (a *analysis) findNetwork(c AlignConfig) (*network, AlignSummary, error) {
	names := append([]string{c.Reference}, c.others(a.recipe)...)
	n, summary, err := findClocks(names, func(i, k int, how Look) (*networkPair, error) {
		return a.findPair(c.between(names[i], names[k]), how)
	})
	if err != nil {
		return n, summary, err
	}
	a.enter(n)
	summary.Simulated = a.simulated(names...)
	for i := range summary.Clocks {
		summary.Clocks[i].Simulated = summary.Simulated
	}
	return n, summary, nil
}

// take keeps what two channels say, in place of what they said before.
func (n *network) take(p *networkPair) {
	i := slices.IndexFunc(n.pairs, func(o *networkPair) bool { return o.a == p.a && o.b == p.b })
	if i < 0 {
		n.pairs = append(n.pairs, p)
	} else {
		n.pairs[i] = p
	}
	if !p.said.Refused {
		n.good = append(n.good, p)
		n.found.found(n.names[p.a], n.names[p.b], p.Correction())
	}
}

// conclude says what was found of all clocks.
func (n *network) conclude() (AlignSummary, error) {
	summary := AlignSummary{Reference: n.names[0], Network: n.summary()}
	for i := 1; i < len(n.names); i++ {
		s, err := n.clockSummary(i)
		if err != nil {
			return summary, err
		}
		summary.Clocks = append(summary.Clocks, s)
	}
	summary.Refused = !slices.ContainsFunc(summary.Clocks, func(s AlignSummary) bool { return !s.Refused })
	if summary.Refused && len(summary.Clocks) > 0 {
		first := summary.Clocks[0]
		summary.Code, summary.Reason, summary.Hint = first.Code, "no clock was found: "+first.Reason, first.Hint
	}
	return summary, nil
}

// findPair aligns two channels. One that cannot be read has no pairs with any other,
// which is no reason to tell nothing of the others.
func (a *analysis) findPair(c AlignConfig, how Look) (*networkPair, error) {
	a.look = how
	defer func() { a.look = Look{} }()
	found, summary, err := a.findClock(c)
	var write *writeError
	if err != nil && (a.ctx.Err() != nil || errors.As(err, &write)) {
		return nil, err
	}
	if err != nil {
		summary = AlignSummary{Reference: c.Reference, Target: c.Target, Refused: true, Code: "no-tags", Reason: err.Error()}
	}
	return &networkPair{config: c, said: summary, foundClock: found}, nil
}

// enter remembers the clocks for later stages: a line each where all keep to one, and
// else the ways from pair to pair, along their tracks.
func (a *analysis) enter(n *network) {
	for i := 1; i < len(n.names); i++ {
		c := n.middle.Clocks[i]
		if !c.Reached {
			continue
		}
		if n.straight(i) {
			a.clocks.found(a.clockOf(n.names[0]), a.clockOf(n.names[i]), n.alignment(i).Correction())
			continue
		}
		for _, k := range c.By {
			p := n.good[k]
			a.clocks.found(a.clockOf(n.names[p.a]), a.clockOf(n.names[p.b]), p.Correction())
		}
	}
}

// noticeNetwork tells the run what there is against the clocks.
func (a *analysis) noticeNetwork(stage string, n *network, s AlignSummary) {
	taint := func(format string, args ...any) {
		a.manifest.Notice(run.Reason{Condition: run.Tainted, Message: fmt.Sprintf("stage %q: ", stage) + fmt.Sprintf(format, args...)})
	}
	for _, c := range s.Clocks {
		if c.Refused {
			taint("no clock of %s against %s was found: %s", c.Target, c.Reference, c.Reason)
		}
	}
	for _, p := range s.Network.Pairs {
		if p.LeftOut {
			taint("%s and %s contradict all others, by %s: what they say is left out", p.Target, p.Reference, text.Measured(p.Residual, p.OffsetSD, "ps"))
		}
	}
	for _, c := range s.Network.Cycles {
		if !c.Closes {
			taint("the clocks of %s do not close: round them %s are left; one of these pairs is wrong, or their light has ways of different lengths",
				strings.Join(c.Channels, ", "), text.Measured(c.Offset, c.OffsetSD, "ps"))
		}
	}
	for _, p := range n.good {
		a.noticeParts(stage, p.config, p.foundClock)
		if p.a == 0 {
			a.noticeStart(stage, p.config, p.foundClock)
		}
	}
	for i, j := range s.Network.Jumps {
		if i == maxJumps {
			taint("clocks jumped %d more times", len(s.Network.Jumps)-i)
			break
		}
		a.manifest.Notice(run.Reason{Condition: run.Tainted, AtPs: &j.Time, Message: fmt.Sprintf("stage %q: %s", stage, j.words())})
	}
}

// words say whose clock jumped.
func (j NetworkJump) words() string {
	step := track.Step{Time: j.Time, Offset: j.Offset, OffsetSD: j.OffsetSD, Frequency: j.Frequency, FrequencySD: j.FrequencySD}
	switch pairs := fmt.Sprintf("at %s, as %d of its pairs show", text.Seconds(j.Time), j.Pairs); {
	case j.Channel != "":
		return fmt.Sprintf("the clock of %s jumped by %s %s", j.Channel, sizeOf(step), pairs)
	default:
		return fmt.Sprintf("the clock of %s jumped by %s at %s, or the other way: nothing tells which", strings.Join(j.Candidates, " or "), sizeOf(step), text.Seconds(j.Time))
	}
}

// straight says whether a clock keeps to one line, as all pairs on the way to it do.
func (n *network) straight(i int) bool {
	for k := range n.middle.Clocks {
		for _, number := range n.middle.Clocks[k].By {
			if p := n.good[number]; p.wanders() {
				return false
			}
		}
	}
	return n.middle.Clocks[i].Reached
}

// wanders says whether the pair's clocks keep to no line.
func (p *networkPair) wanders() bool { return p.Wanders || p.Count > 1 }

// alignment is a clock by all pairs, which keep to lines.
func (n *network) alignment(i int) align.Alignment {
	c, s := n.middle.Clocks[i], n.start.Clocks[i]
	r := n.described(i)
	r.Reference, r.Offset, r.OffsetSD = n.at, c.Offset, c.OffsetSD
	r.Frequency, r.FrequencySD = c.Frequency*1e9, c.FrequencySD*1e9
	r.Start, r.StartOffset, r.StartSD = n.from, s.Offset, s.OffsetSD
	r.Overlap = int64(n.to - n.from)
	return r
}

// described is what the weakest pair on the way to a clock says of its light.
func (n *network) described(i int) (r align.Alignment) {
	for k, number := range n.middle.Clocks[i].By {
		if p := n.good[number]; k == 0 || p.Pairs < r.Pairs {
			a := p.Alignment
			r = align.Alignment{Pairs: a.Pairs, Accidentals: a.Accidentals, Jitter: a.Jitter, Significance: a.Significance,
				ChiSquare: a.ChiSquare, Freedom: a.Freedom, Slices: a.Slices, LostSlices: a.LostSlices, Warning: a.Warning}
		}
	}
	return r
}

// checkSeveral finds what is wrong with a stage for several clocks.
func (c AlignConfig) checkSeveral(to *recipe.StageCheck) {
	switch {
	case !c.Several():
		if !to.Broken("targets") {
			to.Missing("target", "it names no clock that is to be found", "write target: NODE.CHANNEL, or targets: [NODE.CHANNEL, ...], or targets: all")
		}
		to.Unsure()
		return
	case c.Target != "":
		to.Conflict("targets", "target and targets are both there", "name all channels under targets")
		to.Unsure()
		return
	case len(c.References) > 1:
		to.Conflict("reference", "with targets, a clock is found from one channel of each controller", "name one channel of the reference")
	case to.Shots() > 1:
		to.Conflict("targets", "each shot of acquire.repeat is aligned by itself, one clock at a time", "write an align stage for each target")
	}
	reference := recipe.ChannelUse{Key: "reference", Channel: c.Reference}
	uses := recipe.ChannelUses("targets", c.Others)
	if slices.Equal(c.Others, []string{all}) {
		one, several := to.OtherClocks(c.Reference)
		for _, channels := range several {
			to.Conflict("targets", fmt.Sprintf("%s are channels of one controller, and a clock is found from one", strings.Join(channels, " and ")), "name the channels instead of all, one of each controller")
		}
		if len(one)+len(several) == 0 {
			to.Conflict("targets", "no other controller has a channel", "remove the stage")
		}
		if len(one) > MaxClocks-1 {
			to.Conflict("targets", fmt.Sprintf("there are %d other controllers; %d clocks are found together", len(one), MaxClocks-1), "name fewer channels, and write a second stage")
		}
		uses = nil
		for _, name := range one {
			uses = append(uses, recipe.ChannelUse{Key: "targets", Channel: name})
		}
	}
	for _, use := range uses {
		to.Connect([]recipe.ChannelUse{reference}, []recipe.ChannelUse{use})
	}
}
