// Package doctor looks at what a PC has of that which a run needs, and says what to
// do about the rest. It starts no run, changes nothing, and needs no privilege.
//
//	Examine ─▶ privileges, clocks, network, disk, plugins, devices ─▶ Findings ─▶ Diagnosis
//
// What a run itself is refused for is found by the functions that refuse it.
package doctor

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"tsrun/pipeline/master"
	"tsrun/sdk"
)

// State is how a finding stands.
type State string

// From good to bad.
const (
	Good    State = "good"
	Notable State = "look"    // a run is possible, and could be better
	Refused State = "refused" // a run would be refused
)

// Finding is one thing that was looked at.
type Finding struct {
	About    string `json:"about"` // privileges, clock, network, disk, plugins, devices, log
	What     string `json:"what"`
	State    State  `json:"state"`
	Measured string `json:"measured"`
	Wanted   string `json:"wanted,omitempty"`
	Why      string `json:"why,omitempty"` // it is wanted
	Do       string `json:"do,omitempty"`
}

// Diagnosis is all that was found.
type Diagnosis struct {
	Version  string    `json:"version"`
	Refused  bool      `json:"refused"` // a run would be
	Findings []Finding `json:"findings"`
}

// Options say what to look at.
type Options struct {
	Run  master.Options // Recipe may be nil: then what depends on one is left out
	Logs []Log
}

// Log is lines of a service that keeps time.
type Log struct {
	Name  string
	Lines []byte
}

// within bounds each part of an examination: all are at work at once, but for what
// measures time, which is first.
const within = 6 * time.Second

// Examine looks at this PC, and at what a recipe wants of it.
func Examine(ctx context.Context, o Options) Diagnosis {
	d := Diagnosis{Version: o.Run.Version, Findings: []Finding{}}
	ctx, cancel := context.WithTimeout(ctx, 2*within)
	defer cancel()
	d.Findings = append(d.Findings, privileges(ctx, o)...)
	parts := []func(context.Context, Options) []Finding{clocks, keepers, network, disk, plugins, devices, logs}
	found := make([][]Finding, len(parts))
	var at sync.WaitGroup
	for i, part := range parts {
		at.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, within)
			defer cancel()
			found[i] = part(ctx, o)
		})
	}
	at.Wait()
	d.Findings = append(d.Findings, slices.Concat(found...)...)
	d.Refused = slices.ContainsFunc(d.Findings, func(f Finding) bool { return f.State == Refused })
	return d
}

// refusal is the finding of what a run is refused for.
func refusal(about, what string, err error) Finding {
	f := Finding{About: about, What: what, State: Refused, Measured: err.Error()}
	if known := (*sdk.Failure)(nil); errors.As(err, &known) {
		f.Measured, f.Do = known.Message, known.Hint
	}
	return f
}
