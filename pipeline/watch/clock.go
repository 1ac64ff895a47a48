package watch

import (
	"context"
	"sync"

	"tsrun/pipeline/align"
	"tsrun/sdk/quantity"
)

// maxFed is how many stretches wait for a clock that is being looked for.
const maxFed = 64

// clock follows the clock of a controller against another's, from one channel of each.
type clock struct {
	reference, target *channel
	options           align.Options
	fedA, fedB        uint64 // until here pieces were handed over
	pieces            chan [2][]uint64

	mu    sync.Mutex
	state align.State
	last  *align.Value // nil: not known
}

func newClock(reference, target *channel, o align.Options) *clock {
	return &clock{reference: reference, target: target, options: o, pieces: make(chan [2][]uint64, maxFed), state: align.Searching}
}

// feed hands over what has come. It never waits: what finds no room is left out, as if
// it were dark.
func (c *clock) feed() {
	a, b := since(c.reference, &c.fedA), since(c.target, &c.fedB)
	if len(a)+len(b) == 0 {
		return
	}
	select {
	case c.pieces <- [2][]uint64{a, b}:
	default:
	}
}

// since are the tags of a channel that came behind a time, which it moves on.
func since(c *channel, fed *uint64) (tags []uint64) {
	for _, p := range c.pieces {
		if p.from >= *fed {
			tags, *fed = append(tags, p.tags...), p.to
		}
	}
	return tags
}

// follow follows the clock until ctx ends.
func (c *clock) follow(ctx context.Context) {
	live, err := align.NewLive(c.options)
	for err == nil {
		select {
		case <-ctx.Done():
			return
		case p := <-c.pieces:
			var values []align.Value
			values, err = live.Add(ctx, p[0], p[1])
			c.mu.Lock()
			if len(values) > 0 {
				c.last = &values[len(values)-1]
			}
			c.state = live.State()
			c.mu.Unlock()
			if err != nil && ctx.Err() == nil { // tags that are out of order: begin anew
				live, err = align.NewLive(c.options)
			}
		}
	}
}

// line is how much later the target's tags come: in ps at a time of the reference, and
// by how many parts in 1e9 more with time.
type line struct {
	time   uint64
	offset quantity.Fine
	ppb    float64
}

func (l line) at(t uint64) int64 {
	return l.offset.Plus(l.ppb * 1e-9 * float64(int64(t-l.time))).Whole
}

// turned is the line of the reference against the target.
func (l line) turned() line {
	return line{l.time + uint64(l.offset.Whole), quantity.Fine{Whole: -l.offset.Whole, Part: -l.offset.Part}, -l.ppb}
}

// line is what is known of the clock, and how well; ok: it is known.
func (c *clock) line() (l line, state align.State, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last == nil || c.state == align.Searching || c.state == align.Lost {
		return l, c.state, false
	}
	return line{c.last.Time, c.last.Offset, c.last.Frequency}, c.state, true
}
