package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"tsrun/pipeline/align"
	"tsrun/pipeline/event"
	"tsrun/pipeline/text"
	"tsrun/pipeline/track"
)

// syncLine says how the clock of an align stage stands.
func syncLine(v event.Sync) string { return syncLines(v)[0] }

// syncLines are ways to say it, the longest first. What is left out first is what
// the recipe says, then the speed; never the value, its time or that it is lost.
func syncLines(v event.Sync) []string {
	stage, pair := v.Stage+": ", v.Target+" - "+v.Reference
	if v.Shot > 0 {
		pair += fmt.Sprintf(", shot %d", v.Shot)
	}
	if v.Value == nil {
		state := withoutValue(v.State)
		return []string{stage + pair + ": " + state, stage + state, state}
	}
	value := text.Measured(v.Offset.Float(), v.OffsetSD, "ps") + " at " + text.Seconds(v.Time)
	rate, state := ", "+speed(v.Frequency, v.FrequencySD), ""
	switch {
	case v.State == align.Lost:
		state = "; lost: no pairs since"
	case v.Step != nil:
		state = fmt.Sprintf("; it jumped by %s at %s", sizeOf(*v.Step), text.Seconds(v.Step.Time))
	}
	return []string{stage + pair + " = " + value + rate + state, stage + pair + " = " + value + state, stage + value + rate + state,
		stage + value + state, value + state, value}
}

// sizeOf writes by how much a clock jumped, or its frequency, or both.
func sizeOf(s track.Step) string {
	var sizes []string
	if s.Moves() {
		sizes = append(sizes, text.Measured(s.Offset, s.OffsetSD, "ps"))
	}
	if s.Turns() {
		sizes = append(sizes, text.Measured(s.Frequency, s.FrequencySD, "ppb")+" of its frequency")
	}
	return strings.Join(sizes, " and ")
}

func withoutValue(s align.State) string {
	if s == align.Lost {
		return "no pairs"
	}
	return "not found yet"
}

func jumped(v event.Sync) bool { return v.Value != nil && v.Step != nil }

// speed writes a frequency for a person.
func speed(ppb, sd float64) string {
	if ppb < 0 {
		return text.Measured(-ppb, sd, "ppb") + " slow"
	}
	return text.Measured(ppb, sd, "ppb") + " fast"
}

// sync is written once a second for each clock of a stage, and whenever its state changes.
func (p *plain) sync(v event.Sync, now time.Time) string {
	if p.clocks == nil {
		p.clocks = map[string]clockLine{}
	}
	key := v.Stage + " " + v.Target
	before, known := p.clocks[key]
	if known && v.State == before.state && v.Shot == before.shot && now.Sub(before.written) < progressEvery {
		return ""
	}
	p.clocks[key] = clockLine{v.State, v.Shot, now}
	if jumped(v) {
		return "warning: " + syncLine(v)
	}
	return syncLine(v)
}

// clockLine is what was last written of a clock.
type clockLine struct {
	state   align.State
	shot    int
	written time.Time
}

// sync shows an align stage on a line below the bars; what a person should not
// miss stays above them.
func (b *bars) sync(v event.Sync, lines *strings.Builder) {
	i := slices.IndexFunc(b.clocks, func(o event.Sync) bool { return o.Stage == v.Stage && o.Target == v.Target })
	if i < 0 {
		i = len(b.clocks)
		b.clocks = append(b.clocks, event.Sync{})
	}
	if jumped(v) {
		lines.WriteString(text.Printable("warning: "+syncLine(v)) + "\n")
	}
	b.clocks[i] = v
}

// clockLines are the lines of all align stages, each as long as fits.
func (b *bars) clockLines(width int) (lines []string) {
	for _, v := range b.clocks {
		lines = append(lines, fitting(width, syncLines(v)))
	}
	return lines
}

// fitting is the first of several texts that is no longer than width, or else the
// last, cut.
func fitting(width int, texts []string) string {
	for _, t := range texts {
		if t = text.Printable(t); utf8.RuneCountInString(t) <= width {
			return t
		}
	}
	last := []rune(text.Printable(texts[len(texts)-1]))
	return string(last[:max(min(len(last), width), 0)])
}
