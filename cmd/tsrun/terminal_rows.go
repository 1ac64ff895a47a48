package main

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cheggaaa/pb/v3"

	"tsrun/pipeline/event"
	"tsrun/pipeline/text"
	"tsrun/pipeline/transfer"
	"tsrun/sdk/quantity"
)

const (
	barTemplate = `{{string . "name"}} {{bar . "[" "=" ">" " " "]"}} {{percent . }} {{string . "note"}}`

	nameWidth = 8 // of a node, at least
	leastBar  = 8 // characters, with its brackets
	ofPercent = len(" 100.00% ")
)

// bars renders each node's bars: of its acquisition, and of the file that it is
// sending, "" where there is none.
func (b *bars) bars(width int) (acquiring, sending []string) {
	names := nameWidth
	for _, n := range b.nodes {
		names = max(names, utf8.RuneCountInString(text.Printable(n.node)))
	}
	names = min(names, max(width/4, nameWidth))
	room := width - names - 1 - leastBar - ofPercent
	for _, n := range b.nodes {
		acquire, send := "", ""
		if p := n.progress; p != nil {
			acquire = barOf(shortened(n.node, names), names, p.Elapsed.Milliseconds(), p.Duration.Milliseconds(), fitting(room, n.notes(b.ended)), width)
		}
		if f := n.file; f != nil {
			what := ""
			if f.Phase == transfer.Checking || f.Phase == transfer.Hashing {
				what = f.Phase + " "
			}
			send = barOf("", names, f.Done, f.Size, endOf(what+f.File, room), width)
		}
		acquiring, sending = append(acquiring, acquire), append(sending, send)
	}
	return acquiring, sending
}

// together is one bar for all nodes.
func (b *bars) together(width int) string {
	all := nodeBars{progress: &event.Progress{}}
	recording := 0
	for _, n := range b.nodes {
		if n.progress == nil {
			continue
		}
		recording++
		all.progress.Tags += n.progress.Tags
		all.progress.Elapsed += n.progress.Elapsed
		all.progress.Duration += n.progress.Duration
		all.rate += n.rate
		all.lost += n.lost
	}
	done, total := all.progress.Elapsed.Milliseconds(), all.progress.Duration.Milliseconds()
	if recording > 0 { // time left is that of a node
		all.progress.Elapsed /= time.Duration(recording)
		all.progress.Duration /= time.Duration(recording)
	}
	name := fmt.Sprintf("%d nodes", recording)
	return barOf(name, nameWidth, done, total, fitting(width-nameWidth-1-leastBar-ofPercent, all.notes(b.ended)), width)
}

// notes are ways to say how an acquisition is, the longest first. None has time
// left when recording has ended.
func (n *nodeBars) notes(ended bool) []string {
	tags := quantity.Thousands(fmt.Sprint(n.progress.Tags)) + " tags"
	rate, lost, left := ", "+text.Hertz(int64(math.Round(max(n.rate, 0)*1000))), "", ""
	if n.lost > 0 {
		lost = ", " + quantity.Thousands(fmt.Sprint(n.lost)) + " lost"
	}
	if n.away {
		return []string{"away, after " + tags + lost, "away", ""}
	}
	if d := n.progress.Duration - n.progress.Elapsed; n.progress.Duration > 0 && d > 0 && !ended {
		left = fmt.Sprintf(", %v left", d.Round(time.Second))
	}
	disk := ""
	if !ended {
		disk = diskNote(*n.progress)
	}
	return []string{tags + rate + lost + left + disk, tags + lost + left + disk, tags + rate + lost + left, tags + lost + left, tags + lost, tags, ""}
}

// barOf renders a bar of at most width characters; pb itself never writes it.
func barOf(name string, names int, done, total int64, note string, width int) string {
	bar := pb.New(0).Set(pb.Static, true).Set(pb.Terminal, true).SetTemplateString(barTemplate).Start()
	bar.SetTotal(total).SetCurrent(done)
	bar.Set("name", fmt.Sprintf("%-*s", names, name)).Set("note", note)
	text := []rune(strings.TrimRight(bar.SetWidth(width).String(), " "))
	return string(text[:max(min(len(text), width), 0)])
}

// endOf is the end of a file's name, where segments differ.
func endOf(name string, most int) string {
	runes := []rune(text.Printable(name))
	switch {
	case len(runes) <= most:
		return string(runes)
	case most < 2:
		return ""
	}
	return "~" + string(runes[len(runes)-most+1:])
}

// shortened cuts a name that is too long, and shows that it did.
func shortened(name string, most int) string {
	runes := []rune(text.Printable(name))
	if len(runes) <= most {
		return string(runes)
	}
	return string(runes[:most-1]) + "~"
}
