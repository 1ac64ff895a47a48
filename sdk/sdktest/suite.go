// Package sdktest checks that a plugin keeps the plugin protocol. It is the host
// of the real process, and tries what becomes of it: good configurations and bad
// ones, calls in and out of order, a consumer that pauses or goes, a host that is
// killed. `tsrun plugin test PATH` runs the same checks.
//
// A plugin's own tests are one line:
//
//	func TestPlugin(t *testing.T) { sdktest.Run(t, sdktest.Build(t, "."), sdktest.Options{}) }
//
//	Suites ──▶ Suite ── Run ──▶ Result, one of each check
//	             │ process   the plugin as a process: handshake, lease, its end
//	             │ driver    a driver in it, and what its shots bring
//	             └ sink      a sink in it, and what it has told
//
// It needs Linux: other systems cannot show that no process is left.
package sdktest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"tsrun/sdk"
)

// Options say how to use a plugin's drivers and sinks. The zero value takes what
// the plugin says of itself: a simulated device where it has one, and the
// defaults otherwise.
type Options struct {
	Kind       string          // the driver or sink to check; "": each that the plugin offers
	Config     json.RawMessage // for what is acquired and recorded, of a device that may be used
	Simulation json.RawMessage // the section simulate.NODE of a recipe
	Inputs     []int           // to acquire from; none: the first two that the device describes
	Acquire    time.Duration   // how long the check of late times acquires; 0: 1.3 s
}

// Suite is all checks of one driver or sink.
type Suite struct {
	Options
	Path  string // of the plugin's program
	Offer sdk.Offer
	Sink  bool // it is a sink, and no driver
	about sdk.Description
}

// Result is what one check has found.
type Result struct {
	Of      string  `json:"of"`    // the driver or sink
	Check   string  `json:"check"` // "stop-running"
	Status  Status  `json:"status"`
	Note    string  `json:"note"`    // what was seen, or what is wrong
	Seconds float64 `json:"seconds"` // how long it took
}

// Status is the outcome of a check.
type Status string

const (
	Passed Status = "passed"
	Failed Status = "failed"
	Open   Status = "open" // it could not be judged; the note says why
)

// String is the result in one line.
func (r Result) String() string {
	return fmt.Sprintf("%-6s %s %-24s %s", r.Status, r.Of, r.Check, r.Note)
}

// checkLimit bounds a check, beside Options.Acquire; one that takes longer has hung.
const checkLimit = 90 * time.Second

// atOnce is how many checks of a suite run at the same time: they wait more than
// they compute.
const atOnce = 8

// check is one thing that must hold. Its note says what was seen.
type check struct {
	name string
	run  func(*Suite, context.Context) (note string, err error)
}

// openError is the reason why a check cannot be judged.
type openError struct{ because string }

func (o openError) Error() string { return o.because }

// Suites asks the plugin at path what it offers, and returns the suite of each
// driver and sink, or of the one that the options name.
func Suites(ctx context.Context, path string, o Options) ([]*Suite, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	about, err := describe(ctx, path)
	if err != nil {
		return nil, err
	}
	var found []*Suite
	add := func(offers []sdk.Offer, sink bool) {
		for _, offer := range offers {
			if o.Kind == "" || o.Kind == offer.Name {
				found = append(found, newSuite(path, about, offer, sink, o))
			}
		}
	}
	add(about.Drivers, false)
	add(about.Sinks, true)
	if len(found) == 0 {
		return nil, fmt.Errorf("check %s: it offers no driver and no sink %q", path, o.Kind)
	}
	return found, nil
}

func newSuite(path string, about sdk.Description, offer sdk.Offer, sink bool, o Options) *Suite {
	s := &Suite{Options: o, Path: path, Offer: offer, Sink: sink, about: about}
	if len(s.Config) == 0 && offer.Simulation != nil && len(offer.Simulation.When) > 0 {
		s.Config, _ = json.Marshal(offer.Simulation.When) // it came as JSON
	}
	if len(s.Config) == 0 {
		s.Config = json.RawMessage(`{}`)
	}
	if len(s.Simulation) == 0 {
		s.Simulation = json.RawMessage(`{}`)
	}
	if s.Acquire == 0 {
		s.Acquire = 1300 * time.Millisecond
	}
	return s
}

// Checks are the names of all checks of the suite, in order.
func (s *Suite) Checks() (names []string) {
	for _, c := range s.checks() {
		names = append(names, c.name)
	}
	return names
}

func (s *Suite) checks() []check {
	all := pluginChecks()
	if s.Sink {
		return append(all, sinkChecks()...)
	}
	return append(all, driverChecks()...)
}

// Run does all checks, some at a time, and tells each result in order as soon as
// it is there. It returns whether none has failed.
func (s *Suite) Run(ctx context.Context, tell func(Result)) bool {
	checks := s.checks()
	results := make([]chan Result, len(checks))
	places := make(chan struct{}, atOnce)
	var running sync.WaitGroup
	for i, c := range checks {
		results[i] = make(chan Result, 1)
		running.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			results[i] <- s.judge(ctx, c)
		})
	}
	good := true
	for _, r := range results {
		result := <-r
		good = good && result.Status != Failed
		tell(result)
	}
	running.Wait()
	return good
}

// judge does one check.
func (s *Suite) judge(ctx context.Context, c check) Result {
	limit := checkLimit + s.Acquire
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("the check has not ended within %v", limit))
	defer cancel()
	began := time.Now()
	note, err := c.run(s, ctx)
	r := Result{Of: s.Offer.Name, Check: c.name, Status: Passed, Note: note, Seconds: time.Since(began).Seconds()}
	var unjudged openError
	switch {
	case errors.As(err, &unjudged):
		r.Status, r.Note = Open, unjudged.because
	case err != nil:
		r.Status, r.Note = Failed, err.Error()
		if cause := context.Cause(ctx); cause != nil {
			r.Note += ": " + cause.Error()
		}
	}
	return r
}
