package main

import (
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"

	"tsrun/pipeline/stage"
	"tsrun/pipeline/text"
	"tsrun/pipeline/track"
)

const (
	driftRows  = 12 // of the table
	plotWidth  = 64 // columns
	plotHeight = 9  // rows
)

// printDrifts shows each pair of clocks: a table, a plot and what their noise is.
func printDrifts(out io.Writer, drifts []stage.Drift) error {
	var words strings.Builder
	for i, d := range drifts {
		if i > 0 {
			words.WriteByte('\n')
		}
		printDrift(&words, d)
	}
	_, err := io.WriteString(out, words.String())
	return err
}

func printDrift(out *strings.Builder, d stage.Drift) {
	title := d.Target + " - " + d.Reference
	if d.Simulated {
		title += " (SIMULATED)"
	}
	fmt.Fprintln(out, text.Printable(title))
	if d.Alignment == nil || d.Alignment.Track == nil {
		return
	}
	r, t := d.Alignment, d.Alignment.Track
	knotTable(out, t.Knots)
	var times, beside []float64
	for _, k := range t.Knots {
		since := float64(int64(k.Time - r.Reference))
		times = append(times, float64(k.Time)*1e-12)
		beside = append(beside, k.Offset.Minus(r.Offset)-r.Frequency*1e-9*since)
	}
	fmt.Fprintf(out, "\noffset beside %s, in ps\n", text.Measured(r.Frequency, r.FrequencySD, "ppb"))
	plotted(out, times, beside)
	out.WriteByte('\n')
	printTrack(out, t)
}

// knotTable shows some of the knots, from the first to the last.
func knotTable(out *strings.Builder, knots []track.Knot) {
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "time\toffset\tfrequency\tpairs\t")
	rows := min(driftRows, len(knots))
	for i := range rows {
		k := knots[i*(len(knots)-1)/max(rows-1, 1)]
		fmt.Fprintf(table, "%s\t%s\t%s\t%.0f\t\n", text.Seconds(k.Time), text.Measured(k.Offset.Float(), k.OffsetSD, "ps"),
			text.Measured(k.Frequency, k.FrequencySD, "ppb"), k.Pairs)
	}
	_ = table.Flush() // into memory
}

// printTrack says what a track shows beside its knots.
func printTrack(out *strings.Builder, t *track.Track) {
	fmt.Fprintf(out, "noise        white FM %.2g at 1 s, random walk of frequency %.2g in 1 s\n", t.Noise.WhiteFM, t.Noise.RandomWalkFM)
	if t.Brief {
		fmt.Fprintln(out, "             so short a record hardly shows noise: a clock noisier than 1e-11 at 1 s may be off by more than is stated")
	}
	for i, p := range t.Allan {
		name := ""
		if i == 0 {
			name = "Allan dev."
		}
		fmt.Fprintf(out, "%-12s %.3g ± %.2g in %.4g s; %.2g of it would be jitter\n", name, p.Deviation, p.SD, p.Tau, p.Floor)
	}
	for _, s := range t.Steps {
		fmt.Fprintf(out, "step         %s at %s\n", sizeOf(s), text.Measured(float64(s.Time)*1e-12, s.TimeSD*1e-12, "s"))
	}
	for _, g := range t.Gaps {
		what, unknown := "gap          no pairs about the track", ""
		if g.NotFound {
			what = "unknown      the clock was not found"
		}
		if g.Hidden > 0 {
			unknown = ": the clock may have jumped there unseen"
		}
		fmt.Fprintf(out, "%s from %s to %s%s\n", what, text.Seconds(g.From), text.Seconds(g.To), unknown)
	}
	for i, q := range t.Quarters {
		name := ""
		if i == 0 {
			name = "self-check"
		}
		fmt.Fprintf(out, "%-12s %s about the track, %.3g ps wide, from %s to %s\n", name, text.Measured(q.Centre, q.CentreSD, "ps"),
			q.Width, text.Seconds(q.From), text.Seconds(q.To))
	}
}

// plotted draws points as characters: the mean of those in each column.
func plotted(out *strings.Builder, x, y []float64) {
	if len(x) == 0 {
		return
	}
	sums, counts := make([]float64, plotWidth), make([]float64, plotWidth)
	first, length := x[0], max(x[len(x)-1]-x[0], 1e-12)
	for i := range x {
		column := min(int((x[i]-first)/length*plotWidth), plotWidth-1)
		sums[column] += y[i]
		counts[column]++
	}
	low, high := math.Inf(1), math.Inf(-1)
	for i, n := range counts {
		if n > 0 {
			sums[i] /= n
			low, high = min(low, sums[i]), max(high, sums[i])
		}
	}
	high = max(high, low+1e-3)
	rows := make([][]byte, plotHeight)
	for i := range rows {
		rows[i] = []byte(strings.Repeat(" ", plotWidth))
	}
	for i, n := range counts {
		if n > 0 {
			rows[plotHeight-1-int((sums[i]-low)/(high-low)*(plotHeight-1)+0.5)][i] = '*'
		}
	}
	for i, row := range rows {
		label := ""
		if i == 0 || i == plotHeight-1 {
			label = fmt.Sprintf("%.4g", high-(high-low)*float64(i)/(plotHeight-1))
		}
		fmt.Fprintf(out, "%12s |%s\n", label, strings.TrimRight(string(row), " "))
	}
	fmt.Fprintf(out, "%12s +%s\n", "", strings.Repeat("-", plotWidth))
	left, right := fmt.Sprintf("%.3f s", x[0]), fmt.Sprintf("%.3f s", x[len(x)-1])
	fmt.Fprintf(out, "%12s  %s%*s\n", "", left, plotWidth-len(left), right)
}
