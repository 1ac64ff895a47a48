package watch

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"tsrun/pipeline/align"
	"tsrun/pipeline/event"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/stage"
	"tsrun/sdk/quantity"
)

const (
	// usualWindow is the width of a coincidence where the recipe names none.
	usualWindow = quantity.Nanosecond
	// binsOfWindow and windowsBeside say how the peak is looked for: in bins of a part of
	// the window, so many windows to each side of where pairs are expected.
	binsOfWindow  = 4
	windowsBeside = 50
	// maxPairs bounds the pairs of a recipe, and maxMeet how many tags of the second channel
	// each of the first is compared with in the mean.
	maxPairs = 32
	maxMeet  = 64.0
	// peakAbove is how many standard deviations of chance make a peak: of a few hundred
	// places none is so high in a day of looking five times a second, where there is none.
	peakAbove = 7.0
)

// pair is two channels that see pairs.
type pair struct {
	a, b   *channel
	window int64
	clock  *clock // of b against a; nil: they are of one controller
	turned bool   // the clock is that of a against b
}

// pairsOf finds which channels a recipe compares, and whose clocks are to be followed.
func pairsOf(r *recipe.Recipe, named map[string]*channel) (pairs []*pair, clocks []*clock, err error) {
	aligns, err := stage.AlignStages(r)
	if err != nil {
		return nil, nil, err
	}
	searches := map[string]align.Options{}
	for _, s := range aligns {
		for _, each := range s.Each(r) {
			o := align.Options{Search: max(int64(each.Search), align.DefaultSearch), MaxDrift: each.MaxDrift, Brief: true}
			searches[clockOf(r, each.Reference)+" "+clockOf(r, each.Target)] = o
		}
	}
	f := finder{recipe: r, named: named, searches: searches, known: map[string]*clock{}}
	compared, err := stage.Compares(r)
	if err != nil {
		return nil, nil, err
	}
	if len(compared) == 0 {
		for _, s := range aligns {
			for _, each := range s.Each(r) {
				compared = append(compared, stage.Compared{Channels: []string{each.Reference, each.Target}})
			}
		}
	}
	for _, c := range compared {
		for i, b := range c.Channels {
			for _, a := range c.Channels[:i] {
				f.add(a, b, max(int64(cmp.Or(c.Window, usualWindow)), binsOfWindow))
			}
		}
	}
	return f.pairs, f.clocks, nil
}

// finder collects pairs, and a clock for each two controllers of them.
type finder struct {
	recipe   *recipe.Recipe
	named    map[string]*channel
	searches map[string]align.Options // of controllers: reference and target
	known    map[string]*clock
	pairs    []*pair
	clocks   []*clock
}

func (f *finder) add(a, b string, window int64) {
	if f.named[a] == nil || f.named[b] == nil || a == b || len(f.pairs) >= maxPairs ||
		slices.ContainsFunc(f.pairs, func(p *pair) bool { return p.a.name == a && p.b.name == b }) {
		return
	}
	p := &pair{a: f.named[a], b: f.named[b], window: window}
	f.pairs = append(f.pairs, p)
	of, against := clockOf(f.recipe, b), clockOf(f.recipe, a)
	if of == against {
		return
	}
	if p.clock = f.known[of+" "+against]; p.clock != nil {
		p.turned = true
		return
	}
	key := against + " " + of
	if p.clock = f.known[key]; p.clock == nil {
		o, said := f.searches[key]
		if !said {
			o = align.Options{Search: align.DefaultSearch, MaxDrift: align.DefaultMaxDrift, Brief: true}
		}
		p.clock = newClock(f.named[a], f.named[b], o)
		f.known[key] = p.clock
		f.clocks = append(f.clocks, p.clock)
	}
}

// clockOf names the controller of a channel, by whose clock its tags are.
func clockOf(r *recipe.Recipe, name string) string {
	node, channel, _ := strings.Cut(name, ".")
	for _, n := range r.Nodes {
		for _, c := range n.Channels {
			if n.Name == node && c.Name == channel {
				return node + "/" + c.Controller
			}
		}
	}
	return name
}

// look says what is seen of a pair in the newest stretch.
func (p *pair) look(now time.Time) event.WatchedPairs {
	e := event.WatchedPairs{A: p.a.name, B: p.b.name, WindowPs: p.window, State: string(align.Tracking)}
	var later line
	if p.clock != nil {
		var state align.State
		var ok bool
		if later, state, ok = p.clock.line(); p.turned {
			later = later.turned()
		}
		if e.State = string(state); !ok {
			return e
		}
	}
	if now.Sub(p.a.at) > stale || now.Sub(p.b.at) > stale {
		return e
	}
	h := newMeeting(p.window)
	h.limit(p.a, p.b)
	for _, a := range p.a.pieces {
		for _, b := range p.b.pieces {
			h.count(a, b, later)
		}
	}
	h.tell(&e)
	return e
}

// meeting is the histogram of B minus A about where pairs are expected. It is not how a run
// counts its pairs while it goes on (stage.LivePairs): that takes whole files, sums them up
// and has chance from beside the peak as the stages do, where the clock is known. Here a
// node shows only parts of each fifth of a second, the newest second alone counts, and the
// peak is looked for far beside zero and against chance from the rates, because somebody
// is still turning mirrors and delays.
type meeting struct {
	window, bin, reach int64
	bins               []uint32
	tagsA, tagsB       float64
	seconds            float64 // that both channels were seen together
	expected           float64 // pairs of chance in a window
}

func newMeeting(window int64) *meeting {
	m := &meeting{window: window, bin: max(window/binsOfWindow, 1)}
	m.reach = m.bin * binsOfWindow * windowsBeside
	return m
}

// limit looks less far where tags come very fast.
func (m *meeting) limit(a, b *channel) {
	rate := max(float64(a.rate.Millihertz()), float64(b.rate.Millihertz())) / 1e15 // a ps
	for m.reach > 4*binsOfWindow*m.bin && rate*2*float64(m.reach) > maxMeet {
		m.reach /= 2
	}
	m.reach = m.reach / m.bin * m.bin
	m.bins = make([]uint32, 2*m.reach/m.bin)
}

// count counts two stretches as far as they are of one time.
func (m *meeting) count(a, b piece, by line) {
	later := by.at(a.from) // and moves by less than a microsecond within a stretch
	from, to := max(a.from, b.from-uint64(later)), min(a.to, b.to-uint64(later))
	if from >= to || int64(to-from) <= 0 {
		return
	}
	tagsA, tagsB := within(a.tags, from, to), within(b.tags, from+uint64(later), to+uint64(later))
	seconds := float64(to-from) / 1e12
	m.tagsA, m.tagsB, m.seconds = m.tagsA+float64(len(tagsA)), m.tagsB+float64(len(tagsB)), m.seconds+seconds
	m.expected += float64(len(tagsA)) * float64(len(tagsB)) * float64(m.window) / 1e12 / seconds
	first := 0
	for _, t := range tagsA {
		t += uint64(by.at(t))
		for first < len(tagsB) && int64(tagsB[first]-t) < -m.reach {
			first++
		}
		for _, u := range tagsB[first:] {
			d := int64(u - t)
			if d >= m.reach {
				break
			}
			m.bins[(d+m.reach)/m.bin]++
		}
	}
}

// within are the tags in [from, to).
func within(tags []uint64, from, to uint64) []uint64 {
	first := search(tags, from)
	return tags[first : first+search(tags[first:], to)]
}

// tell says what was counted: of the highest window where one stands out of chance, else
// of that in the middle.
func (m *meeting) tell(e *event.WatchedPairs) {
	e.SeenPs = int64(math.Round(m.seconds * 1e12))
	if m.seconds == 0 {
		return
	}
	at, most := len(m.bins)/2-binsOfWindow/2, -1.0
	for i := 0; i+binsOfWindow <= len(m.bins); i++ {
		if n := m.sum(i); n > most && n-m.expected > peakAbove*math.Sqrt(m.expected+1) {
			at, most = i, n
			peak := (int64(i)+binsOfWindow/2)*m.bin - m.reach
			e.PeakPs = &peak
		}
	}
	n := m.sum(at)
	wide := float64(binsOfWindow*m.bin) / float64(m.window) // a window that four bins do not divide
	chance := m.expected * wide
	e.Pairs, e.PairsSD, e.Chance = per(n-chance, m.seconds), per(math.Sqrt(max(n, 1)), m.seconds), per(chance, m.seconds)
	if m.tagsB > 0 {
		e.HeraldingA = new((n - chance) / m.tagsB)
	}
	if m.tagsA > 0 {
		e.HeraldingB = new((n - chance) / m.tagsA)
	}
	if chance > 0 {
		e.G2, e.G2SD = new(n/chance), new(math.Sqrt(max(n, 1))/chance)
	}
}

// sum is a window that begins at a bin.
func (m *meeting) sum(at int) (n float64) {
	for _, c := range m.bins[at : at+binsOfWindow] {
		n += float64(c)
	}
	return n
}

func per(n, seconds float64) *float64 { return new(n / seconds) }

// search is where the first tag is that is not before a time.
func search(tags []uint64, t uint64) int {
	i, _ := slices.BinarySearch(tags, t)
	return i
}
