package event

import (
	"fmt"
	"slices"
	"time"
)

// byUsers are the codes of what a person has asked for, and is no error.
var byUsers = []string{"interrupted", "aborted", "node-stopped"}

// Describe says an event in a line, as far as it needs no memory of others.
func Describe(e Event) string {
	switch v := e.(type) {
	case NodeJoined:
		return fmt.Sprintf("%s joined (%s, process %d%s)", v.Node, v.Host, v.PID, prefixed(" on ", v.Hostname))
	case Waiting:
		return prefix(v.Node) + "waiting for " + v.For + prefixed(": ", v.Why) + prefixed("; ", v.Hint)
	case Away:
		return fmt.Sprintf("%s is away: nothing heard for %v; waiting for it, up to %v", party(v.Node), v.Silent.Round(time.Second), v.Patience) + prefixed("; ", v.Hint)
	case Back:
		return fmt.Sprintf("%s is back after %v", party(v.Node), v.Silent.Round(time.Second))
	case DeviceIdentified:
		name := v.Device.Name()
		if v.Device.Simulated {
			name += " (SIMULATED)"
		}
		return fmt.Sprintf("%s.%s is %s", v.Node, v.Controller, name)
	case Armed:
		return v.Node + " armed"
	case Compensated:
		return fmt.Sprintf("%s.%s: fired %v before the instant from shot %d on, %v until then", v.Node, v.Controller, time.Duration(v.IsNs), v.Shot, time.Duration(v.WasNs))
	case Fired:
		if v.InstantNs == 0 {
			return shotOf(v) + "waiting for the START edge"
		}
		return shotOf(v) + "start at " + time.Unix(0, v.InstantNs).UTC().Format("15:04:05.000000000 MST")
	case Warning:
		return "warning: " + prefix(v.Node) + v.Message + prefixed("; ", v.Hint)
	case Problem:
		if slices.Contains(byUsers, v.Code) {
			return prefix(v.Node) + v.Message + prefixed("; ", v.Hint)
		}
		return "error: " + prefix(v.Node) + v.Message + prefixed("; ", v.Hint)
	case StageDone:
		if v.Result.Skipped != "" {
			return fmt.Sprintf("%s skipped: %s", v.Result.Stage, v.Result.Skipped)
		}
		return v.Result.Stage + " done"
	}
	return ""
}

// party names a node, or the master.
func party(node string) string {
	if node == "" {
		return "the master"
	}
	return node
}

func prefix(node string) string {
	if node == "" {
		return ""
	}
	return node + ": "
}

func prefixed(before, text string) string {
	if text == "" {
		return ""
	}
	return before + text
}

// shotOf says which shot a start is of, where there are several.
func shotOf(f Fired) string {
	if f.Of < 2 {
		return ""
	}
	return fmt.Sprintf("shot %d of %d: ", f.Shot, f.Of)
}
