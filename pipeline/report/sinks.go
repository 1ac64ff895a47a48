package report

import (
	"fmt"
	"slices"
	"strings"

	"tsrun/pipeline/run"
	"tsrun/pipeline/text"
)

// reportSinks says what each sink has kept, where that is not just one sink's
// files of tags.
func reportSinks(out *strings.Builder, uses []run.SinkUse) {
	more := slices.ContainsFunc(uses, func(u run.SinkUse) bool { return !u.KeepsAllTags || u.OtherFiles > 0 })
	if !more && len(uses) < 2 {
		return
	}
	title := "sinks"
	for _, u := range uses {
		entry(out, title, "%s: %s", u.Sink, keptBy(u))
		title = ""
	}
}

// reportLive says what the live sinks have sent.
func reportLive(out *strings.Builder, m *run.Manifest) {
	title := "live"
	for _, l := range m.Live {
		words := fmt.Sprintf("%s sent %s tags in %s messages", l.Sink, text.Count(l.Tags), text.Count(l.Messages))
		switch taken := l.Taken; {
		case taken != nil:
			words += fmt.Sprintf(", of which %s hold %s tags", text.Count(taken.Messages), text.Count(taken.Tags))
			if taken.Where != "" {
				words += " on " + taken.Where
			}
			if taken.Failed != "" {
				words += "; " + taken.Failed
			}
		case l.Subscribers == 0:
			words += ", and nobody listened"
		}
		for _, not := range []struct {
			n    uint64
			what string
		}{{l.Dropped, "messages that a subscriber did not take in time"}, {l.Withheld, "tags of clocks that were not known"}, {l.Late, "tags that came late"}, {uint64(max(l.Missed, 0)), "segments that came too fast"}, {uint64(max(l.Broken, 0)), "segments that could not be read"}} {
			if not.n > 0 {
				words += fmt.Sprintf("; not sent: %s %s", text.Count(not.n), not.what)
			}
		}
		entry(out, title, "%s", words)
		title = ""
	}
}

// reportResultSinks says what sinks have made of what the stages found.
func reportResultSinks(out *strings.Builder, m *run.Manifest) {
	title := "given"
	for _, s := range m.ResultSinks {
		words := []string{fmt.Sprintf("%s has %d %s of results", s.Sink, len(s.Files), text.Plural("file", len(s.Files)))}
		if s.Messages > 0 {
			words = append(words, text.Count(s.Messages)+" messages")
		}
		for _, not := range s.Without {
			words = append(words, "nothing of "+not)
		}
		if s.Failed != "" {
			words = append(words, "it failed: "+s.Failed)
		}
		entry(out, title, "%s", strings.Join(words, "; "))
		title = ""
	}
}

func keptBy(u run.SinkUse) string {
	var parts []string
	if u.OfTags > 0 {
		text := text.Count(uint64(u.OfTags)) + " " + text.Plural("file", u.OfTags) + " of tags"
		switch {
		case u.ReadFor == u.Channels:
			text += ", which the stages read"
		case u.ReadFor > 0:
			text += fmt.Sprintf(", which the stages read for %d of %d channels", u.ReadFor, u.Channels)
		}
		parts = append(parts, text)
	}
	if u.OtherFiles > 0 {
		parts = append(parts, text.Count(uint64(u.OtherFiles))+" "+text.Plural("file", u.OtherFiles)+" of other kinds")
	}
	if u.Elsewhere > 0 {
		parts = append(parts, text.Count(u.Elsewhere)+" tags kept in no file of the run")
	}
	if parts == nil {
		return "no files"
	}
	return strings.Join(parts, "; ")
}
