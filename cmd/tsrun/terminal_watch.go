package main

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"tsrun/pipeline/event"
	"tsrun/pipeline/text"
)

const (
	sparks    = 40 // values of a sparkline: eight seconds
	howToGoOn = "r records, Ctrl-C ends"
	nothing   = "–" // where there is no number
)

// bench is what is shown of one of which nothing is kept.
type bench struct {
	newest event.Watched
	curves map[string][]float64 // by what they are of; NaN: no value
	last   time.Time            // when plain lines were written
}

func (w *bench) add(e event.Watched) {
	w.newest = e
	if w.curves == nil {
		w.curves = map[string][]float64{}
	}
	for _, c := range e.Channels {
		v := math.NaN()
		if c.Rate != nil {
			v = float64(c.Rate.Millihertz())
		}
		w.curve(c.Channel, v)
	}
	for _, p := range e.Pairs {
		v := math.NaN()
		if p.Pairs != nil {
			v = *p.Pairs
		}
		w.curve(p.A+" "+p.B, v)
	}
}

func (w *bench) curve(of string, v float64) {
	values := append(w.curves[of], v)
	w.curves[of] = values[max(0, len(values)-sparks):]
}

// rows are the lines of a terminal.
func (w *bench) rows(width, most int) (rows []string) {
	names := 0
	for _, c := range w.newest.Channels {
		names = max(names, utf8.RuneCountInString(c.Channel))
	}
	for _, p := range w.newest.Pairs {
		names = max(names, utf8.RuneCountInString(p.A)+utf8.RuneCountInString(p.B)+3)
	}
	for _, c := range w.newest.Channels {
		rows = append(rows, fmt.Sprintf("%-*s %12s  %s", names, c.Channel, rateOf(c), sparkline(w.curves[c.Channel])))
	}
	for _, p := range w.newest.Pairs {
		rows = append(rows, fmt.Sprintf("%-*s %12s  %s", names, p.A+" & "+p.B, pairsOf(p), sparkline(w.curves[p.A+" "+p.B])), "  "+moreOf(p))
	}
	rows = append(rows, fmt.Sprintf("watching for %v; nothing is kept; %s", w.newest.Elapsed.Round(time.Second), howToGoOn))
	for i, r := range rows {
		rows[i] = shortened(text.Printable(r), width)
	}
	return rows[max(0, len(rows)-most):]
}

// line says it all in one line, for one who reads no terminal.
func (w *bench) line() string {
	parts := []string{fmt.Sprintf("%.1f s", w.newest.Elapsed.Seconds())}
	for _, c := range w.newest.Channels {
		parts = append(parts, c.Channel+" "+rateOf(c))
	}
	for _, p := range w.newest.Pairs {
		parts = append(parts, p.A+" & "+p.B+" "+pairsOf(p)+" "+moreOf(p))
	}
	return text.Printable(strings.Join(parts, "; "))
}

func rateOf(c event.WatchedChannel) string {
	if c.Rate == nil {
		return nothing
	}
	return text.Hertz(c.Rate.Millihertz())
}

func pairsOf(p event.WatchedPairs) string {
	if p.Pairs == nil {
		return nothing
	}
	return fmt.Sprintf("%.3g pairs/s", *p.Pairs)
}

// moreOf says what is known of a pair beside its rate.
func moreOf(p event.WatchedPairs) string {
	if p.Pairs == nil {
		return "clock " + p.State
	}
	words := []string{fmt.Sprintf("± %.2g", *p.PairsSD)}
	if p.HeraldingA != nil && p.HeraldingB != nil {
		words = append(words, fmt.Sprintf("heralding %.1f %% of %s, %.1f %% of %s", 100**p.HeraldingA, p.A, 100**p.HeraldingB, p.B))
	}
	if p.G2 != nil {
		words = append(words, fmt.Sprintf("g2 %.3g ± %.2g", *p.G2, *p.G2SD))
	}
	if p.PeakPs != nil {
		words = append(words, fmt.Sprintf("at %+.2f ns", float64(*p.PeakPs)/1000))
	} else {
		words = append(words, "no peak")
	}
	return strings.Join(words, ", ")
}

// sparkline draws values between 0 and the highest; a value that is none is a blank.
func sparkline(values []float64) string {
	highest := 0.0
	for _, v := range values {
		if v > highest { // NaN is not
			highest = v
		}
	}
	var out strings.Builder
	for _, v := range values {
		switch levels := []rune("▁▂▃▄▅▆▇█"); {
		case math.IsNaN(v):
			out.WriteRune(' ')
		case highest == 0 || v <= 0:
			out.WriteRune(levels[0])
		default:
			out.WriteRune(levels[min(int(v/highest*float64(len(levels)-1)+0.5), len(levels)-1)])
		}
	}
	return out.String()
}
