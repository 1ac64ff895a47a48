package web

import (
	"cmp"
	"fmt"
	"time"

	"tsrun/pipeline/align"
	"tsrun/pipeline/event"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/text"
	"tsrun/sdk/quantity"
)

// stateWords say what a part of a run is about.
var stateWords = map[string]string{
	"":             "nothing has happened yet",
	"joining":      "waiting for the nodes",
	"watching":     "looking; nothing is kept",
	"arming":       "preparing the controllers",
	"armed":        "ready; the start is set",
	"running":      "recording",
	"draining":     "recorded; files are being closed",
	"transferring": "fetching and proving the files",
	"analysing":    "the stages are at work",
	"done":         "over",
	"aborted":      "given up",
	"failed":       "it could not begin",
}

// wordsOf says an event in a line; "" for one that is shown otherwise.
func wordsOf(e event.Event) string {
	switch e := e.(type) {
	case event.Waiting, event.Begun:
		return "" // where the run stands
	case event.StateChanged:
		return e.State + ": " + cmp.Or(stateWords[e.State], "a part of the run")
	case event.TagsLost:
		if e.LengthPs > 0 {
			return fmt.Sprintf("%s.%s has nothing from %s on for %s: %s", e.Node, e.Channel, text.Seconds(e.AtPs), text.Seconds(e.LengthPs), e.Why)
		}
		return fmt.Sprintf("%s.%s lost %s at %s: %s", e.Node, e.Channel, quantity.Counted(e.Tags, "tag"), text.Seconds(e.AtPs), e.Why)
	case event.Finished:
		return "the run is over"
	}
	return event.Describe(e)
}

// startedWords say by how much later than another a node began.
func startedWords(skewNs, boundNs int64, against string) string {
	direction := " later than "
	if skewNs < 0 {
		direction = " before "
	}
	return text.Bounded(text.Magnitude(skewNs), boundNs) + direction + against
}

// line is an event for people.
type line struct {
	Time, Kind, Code, Text, Hint string
}

func lineOf(s event.Stamped) line {
	l := line{Time: s.Time.UTC().Format("15:04:05"), Kind: event.Kind(s.Event)}
	switch e := s.Event.(type) {
	case event.Warning:
		l.Text, l.Hint = ofNode(e.Node)+e.Message, e.Hint
	case event.Problem:
		l.Code, l.Text, l.Hint = e.Code, ofNode(e.Node)+e.Message, e.Hint
	case event.Away:
		l.Hint, e.Hint = e.Hint, ""
		l.Text = event.Describe(e)
	default:
		l.Text = wordsOf(e)
	}
	l.Code, l.Text, l.Hint = text.Printable(l.Code), text.Printable(l.Text), text.Printable(l.Hint)
	return l
}

func ofNode(node string) string {
	if node == "" {
		return ""
	}
	return node + ": "
}

// rounded writes how long something takes to the second.
func rounded(d time.Duration) string { return max(d, 0).Round(time.Second).String() }

// bytesWords writes a size in the unit in which it is short.
func bytesWords(n int64) string {
	for _, u := range []struct {
		size float64
		name string
	}{{1 << 40, "TiB"}, {1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if float64(n) >= u.size {
			return text.Significant(float64(n)/u.size) + " " + u.name
		}
	}
	return quantity.Counted(n, "byte")
}

// beyond says in which way a rate is not what was expected; "" where it is.
func beyond(e recipe.Expect, mHz int64) string {
	switch {
	case e.RateMin != nil && mHz < int64(*e.RateMin):
		return "too low"
	case e.RateMax != nil && mHz > int64(*e.RateMax):
		return "too high"
	}
	return ""
}

// clockClass is how the state of a clock looks.
func clockClass(s align.State) string {
	switch s {
	case align.Tracking:
		return "good"
	case align.Lost:
		return "bad"
	}
	return "wait"
}

// clockWords say in one word how a clock is followed, for people.
func clockWords(s event.Sync) string {
	switch {
	case s.State == align.Searching:
		return "searching: not found yet"
	case s.State == align.Lost:
		return "lost: no pairs where they should be"
	case s.State == align.Stepped:
		return "stepped: it jumped"
	}
	return string(s.State)
}
