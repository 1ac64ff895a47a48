package correlate

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"strings"

	"tsrun/sdk/quantity"
)

// Coincidences are the tags that several channels have in common, and what of
// them is chance. Those of all channels are in the embedded [Fold]; of more than
// two channels, Parts holds every pair, and every fold that lacks one channel.
type Coincidences struct {
	Window   int64          `json:"window_ps"`
	Shift    int64          `json:"shift_ps"`             // between the windows of accidentals
	Periods  []float64      `json:"periods_ps,omitempty"` // of the light, of which shifts are whole ones, shortest first
	TagsA    uint64         `json:"tags_a"`
	TagsB    uint64         `json:"tags_b"`
	Overlap  uint64         `json:"overlap_ps"`        // the time all recorded, first to last tag, on A's scale
	Unseen   bool           `json:"-"`                 // whether the first of the periods was given, and the first tags do not show it
	Warning  string         `json:"warning,omitempty"` // why accidentals are not known, or what makes them doubtful
	Channels []ChannelCount `json:"channels"`          // A first
	Fold
	Parts []Fold `json:"parts,omitempty"`
}

// ChannelCount is how many tags one channel brought.
type ChannelCount struct {
	Tags    uint64 `json:"tags"`
	Singles uint64 `json:"singles"` // those of the time all recorded
}

// Fold is how often some of the channels, named by their letters, saw something
// together: one tag of each, no two of them further apart than half the window.
// Of more than two channels, only the time that all recorded counts.
//
// All counts every such tuple; OneToOne lets each tag take part once, the
// earliest tags first, which is the largest number of tuples that share no tag.
// Accidentals are the tuples that are not of one event: what is known of them
// comes from windows shifted away, see [CoincidenceOptions], each divided by the
// part of the time that its shift leaves. Of two channels that is their mean, of
// more the tuples in which a part of the channels met by an event count as well
// as those where all met by chance, which are Chance. Net is All minus
// Accidentals. Standard deviations are those of counts, see fewCounted: three of
// them hold in 99 %, as long as a window rarely sees two tags of one channel.
// What is not known is no number.
type Fold struct {
	Of            string          `json:"fold"` // as "AB", "ABC"
	All           uint64          `json:"all"`
	OneToOne      uint64          `json:"one_to_one"`
	Accidentals   quantity.Number `json:"accidentals"`
	AccidentalsSD quantity.Number `json:"accidentals_sd"`
	Chance        quantity.Number `json:"chance"`
	Net           quantity.Number `json:"net"`
	NetSD         quantity.Number `json:"net_sd"`
	CAR           quantity.Number `json:"car"` // All over Accidentals; none where less than five were counted
	CARSD         quantity.Number `json:"car_sd"`
	CARAtLeast    float64         `json:"car_at_least,omitempty"` // in 99 %, where there is no CAR
	Uneven        float64         `json:"uneven,omitempty"`       // by what part chance near zero differs from Accidentals, whose deviation holds it
	Blind         float64         `json:"blind,omitempty"`        // by what part dead times let fewer accidentals be seen, which is taken off of two channels
	Repeated      float64         `json:"repeated,omitempty"`     // the part of the tags that follow another of their channel within the window beyond chance
	Heralding     []Efficiency    `json:"heralding,omitempty"`
	NoHeralding   string          `json:"no_heralding,omitempty"` // why one is left out that counts give as none that is possible
}

// Efficiency is the part of the events seen by the channels By that Of saw with
// them: net coincidences of all over those without Of, after D. N. Klyshko, Sov.
// J. Quantum Electron. 10, 1112 (1980). By of one channel are its singles.
type Efficiency struct {
	Of    string  `json:"of"`
	By    string  `json:"by"`
	Value float64 `json:"efficiency"`
	SD    float64 `json:"sd"`
}

// Rate returns n per second of overlap and its standard deviation; none without
// overlap.
func (c Coincidences) Rate(n, sd quantity.Number) (rate, rateSD quantity.Number) {
	if c.Overlap == 0 {
		return quantity.None(), quantity.None()
	}
	perSecond := quantity.Number(1e12 / float64(c.Overlap))
	return n * perSecond, sd * perSecond
}

// CoincidenceOptions say what a coincidence is.
//
// Accidentals come from the same records with channels shifted against each
// other by up to four times Shift, to both sides. Shift must be longer than what
// correlates the channels: the dead time of their detectors, and their echoes; and
// a whole number of periods of pulsed or gated light. Where it is left out, both
// are found from the first tags.
type CoincidenceOptions struct {
	Window int64             // ps: no two tags further apart than Window/2, which is included
	Shift  int64             // ps; 0: ten windows, at least 1 us, beyond dead times, and whole periods of the light
	Period float64           // ps: of pulsed or gated light; 0: as it is found
	Each   func(Tuple) error // is given every tuple of all channels, in order of A, then B and so on; an error ends the count
}

// Tuple is one tag of each channel within the window. Its slices hold until
// the function it was given to returns.
type Tuple struct {
	Tags     []uint64 // ps, as recorded
	Deltas   []int64  // ps: of each channel but A, on the common clock, minus A
	OneToOne bool     // whether it is one of those that share no tag
}

const (
	shiftsEachSide = 4
	shiftedWindows = 2 * shiftsEachSide
	leastPeriod    = 100              // ps
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
	case o.Period < 0 || o.Period > 0 && o.Period < leastPeriod:
		return fmt.Errorf("period is %.9g ps; it must be at least %d ps", o.Period, leastPeriod)
	case o.Period > 0 && o.Shift > 0:
		return errors.New("a shift and a period are given, which say the same; leave one out")
	case o.Period > float64(maxRange/8):
		return &LimitError{What: "period", Value: fmt.Sprintf("%.9g ps", o.Period), Limit: "40 hours", Hint: "leave it out, or give the light's"}
	case o.Shift > maxRange/8:
		return &LimitError{What: "shift", Value: fmt.Sprintf("%d ps", o.Shift), Limit: "40 hours", Hint: "choose a shorter shift"}
	}
	return nil
}

// Coincide finds the coincidences of the channels, whose streams may be of any
// length: it holds only as many tags as the shifted windows need.
func Coincide(channels []Channel, o CoincidenceOptions) (Coincidences, error) {
	if err := checkNumber(len(channels)); err != nil {
		return Coincidences{}, err
	}
	if err := o.Check(); err != nil {
		return Coincidences{}, err
	}
	if err := differ(channels); err != nil {
		return Coincidences{}, err
	}
	half := o.Window / 2
	g, err := newGather(channels, 0, firstTags, o.Each != nil)
	if err != nil {
		return Coincidences{}, err
	}
	defer g.close()
	sky, at := g.look(o)
	g.reach = at[len(at)-1] + half
	counters := newCounters(len(channels), half, at)
	counters[0].listed = o.Each != nil
	list := &lister{half: half, each: o.Each}
	if len(channels) == 2 {
		err = newPairing(counters[0], g, list).count()
	} else {
		g.slack = half // what not all could see would spoil the ratios of folds
		err = countSpans(g, counters, list)
	}
	if err != nil {
		return Coincidences{}, err
	}
	return conclude(g, o, sky, counters)
}

// countSpans has all counters count each span, on all cores.
func countSpans(g *gather, counters []*counter, list *lister) error {
	for {
		more, err := g.more()
		if err != nil || !more {
			return err
		}
		errs := make([]error, len(counters))
		Each(2*len(counters), func(i int) {
			if k := counters[i/2]; i%2 == 1 {
				errs[i/2] = k.count(g)
			} else if len(k.lanes) > 2 {
				k.match(g)
			}
		})
		if err := errors.Join(errs...); err != nil {
			return err
		}
		if list.each == nil {
			continue
		}
		var views []view
		for _, l := range g.lanes {
			views = append(views, l.view)
		}
		if err := list.add(views, counters[0].matched); err != nil {
			return err
		}
	}
}

// newCounters returns a counter of all n channels and then, where these are
// more than two, of every pair and of all but one.
func newCounters(n int, half int64, at places) []*counter {
	all := 1<<n - 1
	masks := []int{all}
	if n > 2 {
		for a := range n {
			for b := a + 1; b < n; b++ {
				masks = append(masks, 1<<a|1<<b)
			}
		}
	}
	if n > 3 {
		for last := n - 1; last >= 0; last-- {
			masks = append(masks, all&^(1<<last))
		}
	}
	counters := make([]*counter, len(masks))
	for i, m := range masks {
		counters[i] = newCounter(m, half, at)
	}
	return counters
}

// conclude makes the result of what was counted.
func conclude(g *gather, o CoincidenceOptions, sky light, counters []*counter) (Coincidences, error) {
	at := counters[0].at
	c := Coincidences{Window: o.Window, Shift: at[shiftsEachSide+1], Overlap: g.overlap(), TagsA: g.lanes[0].count, TagsB: g.lanes[1].count,
		Unseen: sky.given && !sky.seen}
	for _, p := range sky.periods {
		c.Periods = append(c.Periods, p.length)
	}
	found := map[int]*yield{}
	for i, l := range g.lanes {
		c.Channels = append(c.Channels, ChannelCount{Tags: l.count, Singles: l.singles})
		n := float64(l.singles)
		found[1<<i] = &yield{net: n, variance: n, singles: true}
	}
	yields(g, sky, counters, found)
	if math.IsNaN(found[counters[0].mask].net) {
		if c.Warning = c.unknown(o, g); o.Shift != 0 && c.Overlap > 0 {
			return Coincidences{}, errors.New(c.Warning)
		}
	}
	several := ""
	for i, k := range counters {
		var many string
		f := k.fold(found[k.mask])
		f.Heralding, many, f.NoHeralding = k.heralding(found, c.Window)
		several = cmp.Or(several, many)
		if i == 0 {
			c.Fold = f
		} else {
			c.Parts = append(c.Parts, f)
		}
	}
	if doubt := sky.doubt(counters, g, at); doubt != "" && c.Warning == "" {
		c.Warning = doubt
		c.clearChance()
		for i := range c.Parts {
			c.Parts[i].clearChance()
		}
	}
	c.Warning = cmp.Or(c.Warning, several)
	return c, nil
}

// yields enters what the counters found, by their channels.
func yields(g *gather, sky light, counters []*counter, found map[int]*yield) {
	var pairs []*yield
	for _, k := range counters {
		e := k.exposureOf(g)
		y := k.yield(e)
		if found[k.mask] = y; len(k.lanes) > 2 || len(pairs) >= len(sky.uneven) {
			continue
		}
		blind := [2]blindness{sky.blindOf[k.lanes[0]], sky.blindOf[k.lanes[1]]}
		y.withoutSeen(blind, e)
		y.repeats(blind)
		y.widen(sky.uneven[len(pairs)])
		pairs = append(pairs, y)
	}
	for _, k := range counters {
		if len(k.lanes) < 3 {
			continue
		}
		var within []*yield
		for _, p := range counters {
			if len(p.lanes) == 2 && p.mask&^k.mask == 0 {
				within = append(within, found[p.mask])
			}
		}
		found[k.mask].widenAsPairs(within)
	}
}

// manyFor says what it means that there are more coincidences than what heralds them.
func manyFor(mask int, window int64) string {
	herald := nameOf(mask)
	what := "tags of " + herald
	if len(herald) > 1 {
		what = "coincidences of " + herald
	}
	return fmt.Sprintf("there are more coincidences of one event than %s, so a window of %s sees several tags of an event, as where detectors pulse again or tags repeat, and they herald nothing that can be stated; choose a shorter window",
		what, quantity.Time(window))
}

// vagueFor says why no efficiency is stated that is out of all that is possible.
func vagueFor(of, by int, v, sd float64) string {
	return fmt.Sprintf("chance is known too badly for %s heralded by %s: counts give %.3g ± %.3g, and an efficiency lies between 0 and 1, so none is stated; choose a shorter window, or record longer",
		nameOf(of), nameOf(by), v, sd)
}

// noTime says why there is no time that all lanes recorded.
func (g *gather) noTime() string {
	var empty, moment []string
	for i, l := range g.lanes {
		switch r := l.record(g); {
		case l.count == 0:
			empty = append(empty, letters[i:i+1])
		case r.to <= r.from:
			moment = append(moment, letters[i:i+1])
		}
	}
	switch {
	case len(empty) > 0:
		return "nothing was recorded by " + strings.Join(empty, " and ")
	case len(moment) > 0:
		return "the tags of " + strings.Join(moment, " and ") + " are of one moment, which tells no time that was recorded"
	}
	return "the channels recorded nothing at the same time"
}

// unknown says why there are no accidentals.
func (c *Coincidences) unknown(o CoincidenceOptions, g *gather) string {
	if c.Overlap == 0 {
		return g.noTime() + ", so what is chance is not known"
	}
	seconds := func(ps float64) string { return fmt.Sprintf("%.4g s", ps*1e-12) }
	most := float64(c.Overlap) / float64(len(c.Channels)-1)
	do := fmt.Sprintf("choose a shift below %s", seconds(most))
	switch {
	case float64(o.Window) >= most:
		do += ", and a window below that"
	case o.Period >= most:
		do = "give no period, or the right one: this one is as long as the record"
	}
	return fmt.Sprintf("windows that are shifted by %s and more leave nothing of the %s that all recorded, so what is chance is not known; %s",
		seconds(float64(c.Shift)), seconds(float64(c.Overlap)), do)
}
