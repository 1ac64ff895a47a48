package clock

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"tsrun/pipeline/datagram"
)

// Comparer compares this PC's clock with the master's by all sources that answer.
type Comparer struct {
	prober   *Prober // nil: it is a record that is read
	probes   *exchanges
	services *Services
	wanted   string          // of the recipe
	servedBy map[string]bool // references that are the master's PC itself
	record   *Recorder       // nil: there is none

	mu     sync.Mutex
	theirs []Standing // of the master
	heard  time.Time
	last   map[string]Reading // by source
}

// NewComparer makes a comparer with the master at a name or an address, which answers
// probes with the access that it gave.
func NewComparer(master string, a datagram.Access, o Options) (*Comparer, error) {
	prober, err := Dial(cmp.Or(o.Reached, master), a)
	if err != nil {
		return nil, err
	}
	c := &Comparer{prober: prober, services: NewServices(o), wanted: o.Source, servedBy: map[string]bool{}, last: map[string]Reading{}}
	addresses, _ := net.LookupIP(master) // none: nothing follows it by that name
	for _, ip := range addresses {
		c.servedBy[ntpServer(ip.String())] = true
	}
	return c, nil
}

// Record has all that comes from now on written to a record. It is called before Run.
func (c *Comparer) Record(r *Recorder) {
	c.record, c.prober.record = r, r
	for _, one := range c.services.all {
		one.record = r
	}
}

// Run compares until ctx ends.
func (c *Comparer) Run(ctx context.Context) error {
	var services sync.WaitGroup
	services.Go(func() { _ = c.services.Run(ctx) }) // it has no errors
	defer services.Wait()
	return c.prober.Run(ctx)
}

// Hear takes how the master's clock stands, as it says now.
func (c *Comparer) Hear(theirs []Standing) {
	if len(theirs) > 8 {
		return
	}
	for i := range theirs {
		if !theirs[i].Plausible() {
			return
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.theirs, c.heard = theirs, time.Now()
	for _, s := range theirs {
		c.record.heard(s, c.heard.UnixNano(), c.servedBy[s.Reference])
	}
}

// Set forgets what was compared before this PC's clock was set.
func (c *Comparer) Set() {
	c.prober.mu.Lock()
	defer c.prober.mu.Unlock()
	c.prober.watchClock()
}

// masterSilent is how old what the master said of its clock may be.
const masterSilent = 5 * time.Second

// Reading returns the reading of the source that the recipe wants; for auto, of the one
// with the smallest bound that the probe does not exclude. ok: there is one. A source
// that was heard and says why it is not to be believed any more gives its last reading, with
// [Reading.Lost]; one that has begun anew, after a clock was set or with another reference,
// gives none until it has said enough.
func (c *Comparer) Reading() (r Reading, ok bool) { return c.readingAt(time.Now()) }

func (c *Comparer) readingAt(now time.Time) (r Reading, ok bool) {
	candidates, silent := c.candidates(now)
	for _, one := range candidates {
		if c.wanted == one.Source || c.wanted == "auto" && !excluded(one, candidates) && (!ok || one.Bound < r.Bound) {
			r, ok = one, true
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range silent {
		if last, known := c.last[s.Source]; !ok && known && s.Source == c.wanted {
			r, ok = last, true
			r.Lost = s.Why
		}
	}
	r.Others = nil
	for _, one := range candidates {
		if ok {
			c.last[one.Source] = one
		}
		if one.Source != r.Source {
			r.Others = append(r.Others, Others{Source: one.Source, Reference: one.Reference, Offset: one.Offset, Bound: one.Bound, Excluded: excludes(one, r)})
		}
	}
	for _, s := range silent {
		if s.Source != r.Source {
			r.Others = append(r.Others, s)
		}
	}
	return r, ok
}

// candidates returns a reading of each source that has one, and of the others why not.
func (c *Comparer) candidates(now time.Time) (readings []Reading, silent []Others) {
	steps := 0
	if r, ok := c.probed(now); ok {
		readings, steps = append(readings, r), r.Steps
	}
	c.mu.Lock()
	theirs, heard := c.theirs, c.heard
	c.mu.Unlock()
	for _, own := range c.services.standings(now) {
		r, why := compare(own, theirs, heard, now, own.Source == Chrony && c.servedBy[own.Reference])
		if why != "" {
			silent = append(silent, Others{Source: own.Source, Reference: own.Reference, Why: why})
			continue
		}
		r.Steps = steps
		readings = append(readings, r)
	}
	return readings, silent
}

func compare(own Standing, theirs []Standing, heard, now time.Time, served bool) (Reading, string) {
	if own.Lost != "" {
		return Reading{}, "here: " + own.Lost
	}
	for _, other := range theirs {
		if other.Source != own.Source {
			continue
		}
		if age := now.Sub(heard); age > masterSilent {
			return Reading{}, fmt.Sprintf("the master has not said for %v how its clock stands", age.Round(time.Second))
		}
		return own.against(other, heard.UnixNano(), now.UnixNano(), served)
	}
	return Reading{}, "the master's clock is kept by no such service, or it does not answer there"
}

// probed is the probe's reading.
func (c *Comparer) probed(now time.Time) (Reading, bool) {
	if c.prober == nil {
		return c.probes.reading(now)
	}
	return c.prober.Reading()
}

// Why returns why the source that the recipe wants has said nothing, as far as it is known.
func (c *Comparer) Why() string {
	_, silent := c.candidates(time.Now())
	for _, s := range silent {
		if s.Source == c.wanted {
			return s.Why
		}
	}
	return c.services.Why(c.wanted)
}

// excludes reports whether two readings cannot both be right.
func excludes(a, b Reading) bool {
	apart := a.Offset - b.Offset
	return max(apart, -apart) > a.Bound+b.Bound
}

// excluded reports whether the probe excludes a reading: its bound needs no trust.
func excluded(one Reading, all []Reading) bool {
	for _, other := range all {
		if other.Source == Probe && one.Source != Probe && excludes(one, other) {
			return true
		}
	}
	return false
}

// Disagrees returns a source that cannot be right where this reading is, or the other
// way round; ok: there is one.
func (r Reading) Disagrees() (with Others, ok bool) {
	for _, o := range r.Others {
		if o.Excluded {
			return o, true
		}
	}
	return Others{}, false
}
