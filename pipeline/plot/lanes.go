package plot

import (
	"fmt"
	"slices"
	"strings"
)

// Lanes are times side by side, one lane for each of several things.
type Lanes struct {
	Title     string
	Label     string // of the time, with its unit
	From, To  float64
	Lanes     []Lane
	Shaded    []Span
	Simulated bool
	Empty     string
}

// Lane is one, with what lies in it.
type Lane struct {
	Name  string
	Bars  []Span // what was recorded
	Gaps  []Span // what was not
	Marks []Mark // moments
}

// Mark is a moment.
type Mark struct {
	Name   string
	At     float64
	Letter string // that is written beside it; "": none
}

const (
	maxLanes   = 64
	laneHeight = 24
	laneLeft   = 150

	longestName = 20 // characters that have room beside a lane
)

func (l Lanes) size() (w, h int) {
	return width, top + laneHeight*max(min(len(l.Lanes), maxLanes), 2) + bottom
}

func (l Lanes) about() string { return Chart{Title: l.Title, Simulated: l.Simulated}.about() }

func (l Lanes) draw(out *strings.Builder) {
	heading(out, l.Title, l.Simulated, width)
	_, high := l.size()
	if !known(l.To) || !known(l.From) || !(l.To > l.From) || len(l.Lanes) == 0 {
		empty := l.Empty
		if empty == "" {
			empty = "there is nothing to show"
		}
		fmt.Fprintf(out, `<text x="%d" y="%d" text-anchor="middle">%s</text>`, width/2, high/2, Escape(empty))
		return
	}
	x := newScale(Axis{}, l.From, l.To, width-laneLeft-right)
	bottomAt := high - bottom
	for _, s := range l.Shaded {
		l.bar(out, x, s, "shade", top, bottomAt-top)
	}
	for _, t := range x.ticks() {
		at := laneLeft + t.at
		fmt.Fprintf(out, `<line class="axis" x1="%.1f" x2="%.1f" y1="%d" y2="%d"/><text x="%.1f" y="%d" text-anchor="middle">%s</text>`, at, at, bottomAt, bottomAt+5, at, bottomAt+18, t.text)
	}
	fmt.Fprintf(out, `<path class="axis" d="M%d %dV%dH%d"/><text x="%d" y="%d" text-anchor="middle">%s</text>`,
		laneLeft, top, bottomAt, width-right, (laneLeft+width-right)/2, high-8, Escape(l.Label))
	most := MaxPoints / min(len(l.Lanes), maxLanes)
	for i, lane := range l.Lanes[:min(len(l.Lanes), maxLanes)] {
		y := top + i*laneHeight
		fmt.Fprintf(out, `<text x="%d" y="%d" text-anchor="end">%s</text>`, laneLeft-6, y+16, Escape(shortened(lane.Name, longestName)))
		for n, b := range thinned(lane.Bars, most) {
			l.bar(out, x, b, [2]string{"bar", "bar1"}[n%2], y+4, laneHeight-8)
		}
		for _, g := range thinned(lane.Gaps, most) {
			l.bar(out, x, g, "gap", y+4, laneHeight-8)
		}
		marks := lane.Marks[:min(len(lane.Marks), most)]
		for _, m := range marks {
			if at, ok := x.at(m.At); ok && at >= 0 && at <= x.pixels {
				fmt.Fprintf(out, `<line class="mark" x1="%.1f" x2="%.1f" y1="%d" y2="%d"><title>%s</title></line>`, laneLeft+at, laneLeft+at, y+1, y+laneHeight-1, Escape(m.Name))
			}
		}
		letters(out, x, marks, y)
	}
}

// letters writes those of marks, in the order of their times, to their right; those that would
// cover each other stand together.
func letters(out *strings.Builder, x scale, marks []Mark, y int) {
	const wide = 9.0 // pixels of a letter
	word, from := "", 0.0
	write := func() {
		if word != "" {
			fmt.Fprintf(out, `<text x="%.1f" y="%d">%s</text>`, laneLeft+from+3, y+16, Escape(word))
		}
	}
	for _, m := range marks {
		at, ok := x.at(m.At)
		if m.Letter == "" || !ok || at < 0 || at > x.pixels {
			continue
		}
		if word == "" || at > from+3+wide*float64(len(word)) {
			write()
			word, from = "", at
		}
		word += m.Letter
	}
	write()
}

// bar draws a time, at least a pixel wide.
func (l Lanes) bar(out *strings.Builder, x scale, s Span, class string, y, high int) {
	from, okFrom := x.at(s.From)
	to, okTo := x.at(s.To)
	if from, to = max(from, 0), min(to, x.pixels); !okFrom || !okTo || to < from {
		return
	}
	fmt.Fprintf(out, `<rect class="%s" x="%.1f" y="%d" width="%.1f" height="%d"><title>%s</title></rect>`, class, laneLeft+from, y, max(1, to-from), high, Escape(s.Name))
}

// thinned are at most so many times: of more, neighbours are drawn as one.
func thinned(spans []Span, most int) []Span {
	each := (len(spans) + most - 1) / most
	if each <= 1 {
		return spans
	}
	var fewer []Span
	for group := range slices.Chunk(spans, each) {
		fewer = append(fewer, Span{Name: fmt.Sprintf("%s, and %d more", group[0].Name, len(group)-1), From: group[0].From, To: group[len(group)-1].To})
	}
	return fewer
}
