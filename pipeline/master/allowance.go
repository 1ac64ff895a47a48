package master

import (
	"context"
	"fmt"
	"time"

	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/transfer"
	"tsrun/pipeline/wire"
	"tsrun/sdk"
	"tsrun/sdk/quantity"
)

// What is kept of the words of a node, in journal, manifest and log, is bounded by what
// the recipe makes a node tell at the very most: a fact for each planned file and each
// loss that is listed, with the counts that go with it, and a few long ones. An honest
// node comes nowhere near. One that tells more is refused, and the run goes on.
const (
	anyFacts    = 16 << 20 // bytes, of any node
	factRoom    = 1 << 10  // of a fact
	countRoom   = 192      // of a channel in the counts that are kept beside
	longFact    = 64 << 10 // of what a driver or a sink says in its own words; slaves cut it there
	failureRoom = 4 << 10  // of a failure or a warning, beside its text: it stands in several places
)

// allowanceOf is how many bytes may be kept of what a node tells.
func allowanceOf(r *recipe.Recipe, n recipe.Node, p transfer.Plan) int64 {
	parts := int64(r.Acquire.Shots())
	if r.Faults.LostNode == "restart" {
		parts += run.MaxRestarts
	}
	channels := int64(len(n.Channels))
	facts := channels * (run.MaxLosses + run.MaxRestarts)
	for _, place := range p.Places {
		facts += int64(place.Files)
	}
	long := parts * (int64(len(n.Controllers)) + channels*int64(len(r.Sinks)))
	return anyFacts + facts*(factRoom+channels*countRoom) + long*longFact
}

// spending is what is kept of the words of a node, and may be, in bytes.
type spending struct{ kept, most int64 }

// spend notes that something more is kept of what a node tells.
func (b *book) spend(node string, bytes int) {
	s := b.spent[node]
	s.kept += int64(bytes)
	b.spent[node] = s
}

// overspent says why nothing more is taken of what a node tells; nil: it is.
func (b *book) overspent(node string) *sdk.Failure {
	s := b.spent[node]
	if s.kept <= s.most {
		return nil
	}
	return &sdk.Failure{Code: "too-much",
		Message: fmt.Sprintf("it told more than a node of this recipe can have to tell: %s are kept of that, and by its channels, segments and duration there are at most %s",
			quantity.Counted(s.kept, "byte"), quantity.Counted(s.most, "byte")),
		Hint: "no slave of tsrun does so: look who is at work on that PC; what was proven before is kept"}
}

// refuseOverspent refuses a node from which nothing more is taken, for good. The run
// goes on without it.
func (c *conductor) refuseOverspent(ctx context.Context, name string, m *member) bool {
	if m.refused == nil {
		if m.refused = c.book.overspent(name); m.refused != nil {
			c.applyEvent(ctx, evGone{name, *m.refused})
		}
	}
	return m.refused != nil
}

// lists reports whether the manifest lists a loss one by one; all are counted.
func (b *book) lists(name string, n *wire.News) bool {
	c, _ := b.channel(name, n.Loss.Stream)
	return c != nil && c.Lists(n.Loss.Loss)
}

// passing reports whether a piece of news leaves nothing behind but in the log, which
// has a bound of its own: such news may come without end.
func (b *book) passing(name string, n *wire.News) bool {
	return n.Empty() || n.Log != nil || n.Loss != nil && !b.lists(name, n)
}

const (
	// seenAtOnce and seenPerS bound how often the journal notes that passing news were
	// taken. Where it does not, the node tells them again.
	seenAtOnce = 100
	seenPerS   = 25
)

// acknowledge notes in the journal which news of a node were taken, before the node
// hears of that.
func (c *conductor) acknowledge(name string, m *member, passing bool) {
	if m.seen == m.news {
		return
	}
	if now := time.Now(); passing {
		m.spare = min(seenAtOnce, m.spare+now.Sub(m.noted).Seconds()*seenPerS)
		if m.noted = now; m.spare < 1 {
			return
		}
		m.spare--
	}
	m.seen = m.news
	if c.journal != nil {
		c.keep(entry{Seen: &acknowledged{name, m.seen}})
	}
}
