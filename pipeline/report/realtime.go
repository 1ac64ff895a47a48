package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"tsrun/pipeline/run"
	"tsrun/sdk/realtime"
)

// reportRealtime says how long after their instants the controllers were fired, and
// which privileges that were asked for the threads that did so had and had not.
func reportRealtime(out *strings.Builder, m *run.Manifest) {
	var fired, had []string // in order; had: each once
	var refused []realtime.Grant
	for _, node := range m.NodeOrder() {
		controllers := m.Nodes[node].Controllers
		for _, name := range slices.Sorted(maps.Keys(controllers)) {
			c := controllers[name]
			if s := c.Shot; s != nil && m.Trigger.Method != "hardware" {
				fired = append(fired, fmt.Sprintf("%s.%s %s", node, name, microseconds(s.Called-s.Asked)))
			}
			for _, g := range c.Realtime {
				words := grantText(g)
				switch {
				case g.Granted && !slices.Contains(had, words):
					had = append(had, words)
				case !g.Granted && !slices.ContainsFunc(refused, func(r realtime.Grant) bool { return r.What == g.What && r.Remedy == g.Remedy }):
					refused = append(refused, g)
				}
			}
		}
	}
	name := "firing"
	if len(fired) > 0 {
		words := strings.Join(fired, ", ") + " after the instant"
		if m.Trigger.Method == "broadcast" {
			words = strings.Join(fired, ", ") + " after the order was sent"
		}
		if len(had) > 0 {
			words += ", with " + strings.Join(had, " and ")
		}
		entry(out, name, "%s", words)
		name = ""
	}
	for _, g := range refused {
		entry(out, name, "without %s (%s): %s", grantText(g), strings.TrimSpace(g.Errno+" "+g.Why), g.Remedy)
		name = ""
	}
}

// grantText calls by name what was asked of the system.
func grantText(g realtime.Grant) string {
	value := g.Asked
	if g.Got != "" {
		value = g.Got
	}
	switch g.What {
	case realtime.Priority:
		return strings.TrimSpace("real-time priority " + value)
	case realtime.Core:
		return strings.TrimSpace("core " + value)
	case realtime.LockMemory:
		return "locked memory"
	case realtime.BusyPoll:
		return strings.TrimSpace("busy polling for " + value)
	case realtime.DMALatency:
		return strings.TrimSpace("processors awake within " + value)
	}
	return g.What
}

func microseconds(ns int64) string {
	if ns >= 10_000 {
		return fmt.Sprintf("%d us", (ns+500)/1000)
	}
	return fmt.Sprintf("%.1f us", float64(ns)/1000)
}
