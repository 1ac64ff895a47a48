package report

import (
	"fmt"
	"io"
	"math"
	"path"
	"slices"
	"strings"

	"tsrun/pipeline/plot"
	"tsrun/pipeline/run"
	"tsrun/pipeline/stage"
	"tsrun/pipeline/track"
	"tsrun/sdk/quantity"
)

// Drawn is a picture of a run.
type Drawn struct {
	Name    string // by which it is asked for
	Picture plot.Picture
	stage   string // that found it
	table   *table // of which it is; nil: of the manifest
	file    string // the table
	words   string // numbers that are drawn and in no table
}

// Pictures are those of a run: its times, and what its stages found. Where a table
// cannot be read, its picture says so.
func Pictures(dir string, m *run.Manifest) (all []Drawn) {
	all = append(all, Drawn{Name: "nodes", Picture: nodeTimes(m)}, Drawn{Name: "times", Picture: timeline(m)})
	for _, r := range m.Results {
		for _, file := range r.Files {
			if path.Ext(file) == ".csv" && r.Kind != "coincidences" {
				all = append(all, drawnResult(dir, m, r, file)...)
			}
		}
		all = append(all, deviations(m, r)...)
	}
	return all
}

// drawnResult are the pictures of a table of a stage.
func drawnResult(dir string, m *run.Manifest, r run.Result, file string) []Drawn {
	frame := plot.Chart{Title: r.Stage, Simulated: simulatedResult(m, r)}
	in, err := run.OpenFile(dir, file)
	var t *table
	if err == nil {
		t, err = readTable(in)
		in.Close()
	}
	if err != nil {
		frame.Empty = fmt.Sprintf("%s cannot be drawn: %v", file, err)
		return []Drawn{{Name: r.Stage, stage: r.Stage, Picture: frame, file: file}}
	}
	charts := t.charts(frame)
	if s, ok := stage.DecodeSummary[stage.ScanSummary](r); ok && r.Kind == "scan" && s.Peak != nil && len(charts) > 0 {
		charts[0].Curves = append(charts[0].Curves, fitted(s, charts[0].Curves[0].Points, t.unit()))
	}
	words := t.addFit(charts)
	var all []Drawn
	for i, c := range charts {
		d := Drawn{Name: r.Stage, stage: r.Stage, Picture: c, file: file}
		if i == 0 {
			d.table, d.words = t, words
		} else {
			d.Name = fmt.Sprintf("%s-%d", r.Stage, i+1)
		}
		all = append(all, d)
	}
	return all
}

// simulatedResult says whether a stage looked at simulated tags; in doubt, whether the
// run has any.
func simulatedResult(m *run.Manifest, r run.Result) bool {
	s, ok := stage.DecodeSummary[struct {
		Simulated *bool `json:"simulated"`
	}](r)
	if ok && s.Simulated != nil {
		return *s.Simulated
	}
	return m.Has(run.Simulated)
}

// PictureOf draws a table of results, wherever it is from.
func PictureOf(title string, in io.Reader) (plot.Picture, error) {
	head := &headed{in: in}
	t, err := readTable(head)
	if err != nil {
		return nil, err
	}
	charts := t.charts(plot.Chart{Title: title, Simulated: strings.HasPrefix(string(head.first), "# SIMULATED")})
	if len(charts) == 0 {
		return nil, fmt.Errorf("there is no picture of a table of %s; there is one of scan, histogram, g2, rates and align", strings.Join(t.columns, ", "))
	}
	t.addFit(charts)
	return charts[0], nil
}

// headed keeps the first bytes that are read.
type headed struct {
	in    io.Reader
	first []byte
}

func (h *headed) Read(p []byte) (int, error) {
	n, err := h.in.Read(p)
	if room := 64 - len(h.first); room > 0 {
		h.first = append(h.first, p[:min(n, room)]...)
	}
	return n, err
}

// unit is how many ps the unit of the first column's picture has.
func (t *table) unit() float64 {
	_, ps := plot.TimeUnit(t.reach())
	return ps
}

// charts are the pictures of a table, by its columns; none of other columns.
func (t *table) charts(frame plot.Chart) []plot.Chart {
	unit, ps := plot.TimeUnit(t.reach())
	c := frame
	if t.cut {
		c.Title += fmt.Sprintf(", the first %d lines", mostLines)
	}
	c.Empty = "nothing was recorded"
	if t.odd > 0 {
		c.Title += fmt.Sprintf(", without %s that are no numbers", quantity.Counted(t.odd, "cell"))
		c.Empty = "no cell is a number"
	}
	switch names := strings.Join(t.columns, ","); {
	case names == "lower_edge_ps,counts":
		c.X.Label, c.Y.Label = "stop minus start / "+unit, "counts per bin"
		c.Curves = []plot.Curve{{Kind: plot.Steps, Points: t.of("counts", ps, 1)}}
	case names == "lower_edge_ps,counts,g2,g2_sd":
		c.X.Label, c.Y.Label = "stop minus start / "+unit, "g2"
		c.Curves = []plot.Curve{{Kind: plot.Steps, Points: t.of("g2", ps, 1)}}
		if t.lines <= 400 {
			c.Curves[0].Kind = plot.Errors
		}
	case names == "delay_ps,counts":
		c.X.Label, c.Y.Label = "delay / "+unit, "coincidences"
		c.Curves = []plot.Curve{{Name: "counts", Kind: plot.Steps, Points: t.of("counts", ps, 1)}}
	case names == strings.Join(stage.KnotColumns, ","):
		return t.clockCharts(c, unit, ps)
	case t.columns[0] == "start_ps":
		c.X.Label, c.Y.Label = "time / "+unit, "tags per s"
		for _, name := range t.columns[1:] {
			c.Curves = append(c.Curves, plot.Curve{Name: name, Kind: plot.Steps, Points: t.of(name, ps, t.step/1e12)})
		}
	default:
		return nil
	}
	return []plot.Chart{c}
}

// clockCharts are the offset of a clock, what is left beside a straight line, and its frequency.
func (t *table) clockCharts(frame plot.Chart, unit string, ps float64) []plot.Chart {
	frame.X.Label = "time / " + unit
	offset := frame
	most := 0.0
	for _, p := range t.of("offset_ps", ps, 1) {
		if v := math.Abs(p.Y); v > most && !math.IsInf(v, 0) {
			most = v
		}
	}
	size, of := plot.TimeUnit(most)
	offset.Title, offset.Y.Label = frame.Title+": offset", "offset / "+size
	offset.Curves = []plot.Curve{{Kind: plot.Band, Points: t.of("offset_ps", ps, of)}}
	rest := frame
	rest.Title, rest.Y.Label = frame.Title+": offset beside a straight line, ± sd", "residual / ps"
	rest.Curves = []plot.Curve{{Kind: plot.Band, Points: straightened(t.of("offset_ps", ps, 1))}}
	frequency := frame
	frequency.Title, frequency.Y.Label = frame.Title+": frequency, ± sd", "frequency / ppb"
	frequency.Curves = []plot.Curve{{Kind: plot.Band, Points: t.of("frequency_ppb", ps, 1)}}
	return []plot.Chart{offset, rest, frequency}
}

// straightened are points less their straight line of least squares.
func straightened(points []plot.Point) []plot.Point {
	points = slices.DeleteFunc(points, func(p plot.Point) bool { return math.IsNaN(p.Y) || math.IsInf(p.Y, 0) })
	if len(points) == 0 {
		return nil
	}
	n, x0, y0 := float64(len(points)), points[0].X, points[0].Y
	var sx, sy, sxx, sxy float64
	for _, p := range points {
		x, y := p.X-x0, p.Y-y0
		sx, sy, sxx, sxy = sx+x, sy+y, sxx+x*x, sxy+x*y
	}
	slope := 0.0
	if d := n*sxx - sx*sx; d > 0 {
		slope = (n*sxy - sx*sy) / d
	}
	for i, p := range points {
		points[i].Y = p.Y - y0 - slope*(p.X-x0) - (sy-slope*sx)/n
	}
	return points
}

// fitted is what a scan's peak explains of the counts at each delay.
func fitted(s stage.ScanSummary, at []plot.Point, unit float64) plot.Curve {
	k := plot.Curve{Name: "fit", Kind: plot.Line}
	half, sigma, centre := float64(s.WindowPs)/2, math.Max(s.Peak.Sigma, 1e-3), s.Peak.Offset.Float()
	below := func(d float64) float64 { return math.Erfc(-(d-centre)/sigma/math.Sqrt2) / 2 }
	for _, p := range at {
		d := p.X * unit
		k.Points = append(k.Points, plot.Point{X: p.X, Y: float64(s.Peak.Accidentals) + float64(s.Peak.Pairs)*(below(d+half)-below(d-half))})
	}
	return k
}

// deviations are the Allan and the time deviation of a clock that an align stage followed.
func deviations(m *run.Manifest, r run.Result) (all []Drawn) {
	s, ok := stage.DecodeSummary[stage.AlignSummary](r)
	if !ok || r.Kind != "align" || s.Alignment == nil || s.Alignment.Track == nil {
		return nil
	}
	for _, d := range DeviationsOf(s.Alignment.Track.Allan) {
		if len(d.Points) > 0 {
			all = append(all, Drawn{Name: r.Stage + "-" + d.Name, stage: r.Stage, Picture: plot.Chart{Title: r.Stage + ": " + d.Title, X: plot.Axis{Label: d.X, Log: true}, Y: plot.Axis{Label: d.Y, Log: true},
				Simulated: simulatedResult(m, r), Empty: "the clock was not followed for long enough", Curves: []plot.Curve{{Kind: plot.Errors, Points: d.Points}}}})
		}
	}
	return all
}

// Deviation is one kind of deviation of a clock against time, as it is drawn.
type Deviation struct {
	Name, Title, X, Y string
	Points            []plot.Point
}

// DeviationsOf are the two kinds that an align stage finds, each where it is known.
func DeviationsOf(points []track.AllanPoint) []Deviation {
	frequency := Deviation{Name: "allan", Title: "Allan deviation, ± sd", X: "tau / s", Y: "Allan deviation"}
	times := Deviation{Name: "tdev", Title: "time deviation (TDEV), ± sd", X: "tau / s", Y: "time deviation / ps"}
	for _, a := range points {
		frequency.Points = append(frequency.Points, plot.Point{X: a.Tau, Y: a.Deviation, SD: a.SD})
		if a.TimeSD > 0 { // not of earlier releases, nor where gaps leave too little
			times.Points = append(times.Points, plot.Point{X: a.Tau, Y: a.Time, SD: a.TimeSD})
		}
	}
	return []Deviation{frequency, times}
}

// timeline shows a lane for each channel: what was recorded in which file, and gaps; the
// time in which all recorded is shaded.
func timeline(m *run.Manifest) plot.Lanes {
	l := plot.Lanes{Title: "what was recorded: a lane a channel, files, gaps, losses, starts anew", Simulated: m.Has(run.Simulated), Empty: unrecorded(m)}
	most := recordOf(m)
	if !m.Recorded() {
		return l
	}
	unit, ps := plot.TimeUnit(most)
	l.To, l.Label = most/ps, "time since the start of each node / "+unit
	if m.Common.Length() > 0 {
		l.Shaded = []plot.Span{{Name: "every node recorded without a gap", From: float64(m.Common.FromPs) / ps, To: float64(m.Common.ToPs) / ps}}
	}
	lanes, gaps := map[string]*plot.Lane{}, m.Gaps()
	var names []string
	for _, node := range m.NodeOrder() {
		n := m.Nodes[node]
		for _, channel := range run.ByStream(n.Channels) {
			name := node + "." + channel
			lane := &plot.Lane{Name: name}
			for _, g := range gaps[name] {
				lane.Gaps = append(lane.Gaps, plot.Span{Name: "gap", From: float64(g.From) / ps, To: float64(g.To) / ps})
			}
			for _, loss := range n.Channels[channel].Losses[:min(len(n.Channels[channel].Losses), maxListed)] {
				lane.Marks = append(lane.Marks, plot.Mark{Name: fmt.Sprintf("lost %s: %s", quantity.Counted(loss.Tags, "tag"), loss.Why), At: float64(loss.AtPs) / ps})
			}
			for _, r := range n.Restarts {
				lane.Marks = append(lane.Marks, plot.Mark{Name: "started anew: " + r.Why, At: float64(r.At) / ps})
			}
			lanes[name], names = lane, append(names, name)
		}
	}
	for _, s := range m.Segments {
		if lane := lanes[s.Node+"."+s.Channel]; lane != nil && s.HoldsTags() && s.Tags > 0 {
			state := "proven"
			if !s.Verified {
				state = "not here"
			}
			lane.Bars = append(lane.Bars, plot.Span{Name: fmt.Sprintf("%s, %d tags, %s", s.File, s.Tags, state), From: float64(s.FirstPs) / ps, To: float64(s.LastPs) / ps})
		}
	}
	for _, name := range names {
		l.Lanes = append(l.Lanes, *lanes[name])
	}
	return l
}
