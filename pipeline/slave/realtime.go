package slave

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"tsrun/pipeline/wire"
	"tsrun/sdk/realtime"
)

// awake keeps this PC's processors from sleeping deeply, where the recipe asks for
// it and the system grants it.
type awake struct {
	grant *realtime.Grant // nil: not asked
	hold  io.Closer       // nil: not granted
}

func (eq *equipment) keepAwake() {
	if latency := eq.s.recipe.Realtime.DMALatency; latency != nil {
		grant, hold := realtime.HoldDMALatency(latency.Duration().Microseconds())
		eq.awake = awake{&grant, hold}
	}
}

func (a awake) close() {
	if a.hold != nil {
		a.hold.Close() // then the processors sleep as before
	}
}

const (
	// wakesBefore is how long before the instant processors are woken: those that a virtual
	// machine gives up while they sleep come back some ms late.
	wakesBefore = 200 * time.Millisecond
	// sleepsAfter is how long after it they may sleep again: once the commands are out.
	sleepsAfter = 50 * time.Millisecond
)

// stayAwake keeps this PC's processors from sleeping until sleep is called, where the
// system grants it and the recipe asks for nothing else.
func (eq *equipment) stayAwake() (sleep func()) {
	if eq.s.recipe.Realtime.DMALatency == nil {
		if _, hold := realtime.HoldDMALatency(0); hold != nil {
			return func() { hold.Close() }
		}
	}
	return func() {}
}

// stayAwakeAbout does so about an instant, and returns at once: who waits for the instant
// is then not woken late.
func (eq *equipment) stayAwakeAbout(ctx context.Context, instant time.Time) {
	go func() {
		until(ctx, instant.Add(-wakesBefore))
		defer eq.stayAwake()()
		until(ctx, instant.Add(sleepsAfter))
	}()
}

// until returns at a moment, or when ctx ends.
func until(ctx context.Context, moment time.Time) {
	select {
	case <-ctx.Done():
	case <-time.After(time.Until(moment)):
	}
}

// granted returns what a controller's thread that fires was granted, and warns of
// what the recipe asks for by itself and does not get.
func (eq *equipment) granted(c *controller) []realtime.Grant {
	grants := c.driver.Grants()
	asked := eq.s.recipe.Realtime
	if len(grants) == 0 {
		grants = unanswered(asked.Settings(), asked.Wants)
	}
	if eq.awake.grant != nil {
		grants = append(grants, *eq.awake.grant)
	}
	if eq.s.polls != nil {
		grants = append(grants, *eq.s.polls)
	}
	for _, g := range grants {
		if !g.Granted && asked.Wants(g.What) {
			eq.s.reporter.queueNews(wire.News{Warning: &wire.Warning{
				Message: fmt.Sprintf("controller %s: realtime.%s: %s was not granted: %s", c.recipe.Name, g.What, g.Asked, strings.TrimSpace(g.Errno+" "+g.Why)),
				Hint:    g.Remedy}})
		}
	}
	return grants
}

// unanswered is what is said for a plugin that does not know what was asked.
func unanswered(s realtime.Settings, wanted func(string) bool) (grants []realtime.Grant) {
	const why, remedy = "the plugin does not answer: it is of another language or of an older release", "build it with the SDK of this release, or leave it out"
	for what, asked := range map[string]bool{realtime.Priority: s.Priority > 0, realtime.Core: len(s.Cores) > 0, realtime.LockMemory: s.LockMemory} {
		if asked && wanted(what) {
			grants = append(grants, realtime.Grant{What: what, Why: why, Remedy: remedy})
		}
	}
	return grants
}
