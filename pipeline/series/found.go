package series

import (
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"io"
	"math"
	"path/filepath"
	"strconv"
	"strings"

	"tsrun/pipeline/plot"
	"tsrun/pipeline/run"
	"tsrun/pipeline/stage"
	"tsrun/sdk/quantity"
)

// TableFile is the table of a series.
const TableFile = "series.csv"

// Found is what the table says of a run. What nobody knows is left out.
type Found struct {
	Rates     map[string]float64 `json:"rates_hz,omitempty"` // by channel
	Tags      map[string]uint64  `json:"tags,omitempty"`
	Pairs     *float64           `json:"pairs_hz,omitempty"`
	PairsSD   *float64           `json:"pairs_sd_hz,omitempty"`
	CAR       *float64           `json:"car,omitempty"` // coincidences over accidentals
	Width     *float64           `json:"width_ps,omitempty"`
	Simulated bool               `json:"simulated"`
}

func sumOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// foundIn is what a run found: rates, and of the first stages of their kinds pairs and the
// width of their peak.
func foundIn(m *run.Manifest) Found {
	f := Found{Rates: map[string]float64{}, Tags: map[string]uint64{}, Simulated: m.Has(run.Simulated)}
	for node, n := range m.Nodes {
		for channel, c := range n.Channels {
			name := node + "." + channel
			f.Tags[name] = c.Tags
			if c.Rate != nil {
				f.Rates[name] = float64(c.Rate.Millihertz()) / 1000
			}
		}
	}
	for _, r := range m.Results {
		if s, ok := stage.DecodeSummary[stage.CoincidencesSummary](r); ok && r.Kind == "coincidences" && f.Pairs == nil && s.Overlap > 0 {
			seconds := float64(s.Overlap) / 1e12
			f.Pairs, f.PairsSD = known(s.Net, 1/seconds), known(s.NetSD, 1/seconds)
			f.CAR = known(s.CAR, 1)
		}
		if s, ok := stage.DecodeSummary[stage.AlignSummary](r); ok && r.Kind == "align" && f.Width == nil && s.Alignment != nil && s.Alignment.Jitter > 0 {
			f.Width = new(s.Alignment.Jitter)
		}
	}
	return f
}

// known is a number in a unit; nil where nobody knows it.
func known(n quantity.Number, unit float64) *float64 {
	if v := float64(n) * unit; n.Known() && !math.IsInf(v, 0) && !math.IsNaN(v) {
		return &v
	}
	return nil
}

func (s *Series) writeTable() error {
	return run.Atomically(filepath.Join(s.dir, TableFile), func(w io.Writer) error {
		simulated := false
		for _, shot := range s.Shots {
			simulated = simulated || shot.Simulated
		}
		about := "# series " + s.Name
		if simulated {
			about += "; SIMULATED"
		}
		if _, err := io.WriteString(w, about+"\n"); err != nil {
			return err
		}
		out := csv.NewWriter(w)
		head := []string{"shot"}
		for _, a := range s.Scan.Axes {
			head = append(head, a.Path)
		}
		head = append(head, "condition", "directory")
		for _, c := range s.Channel {
			head = append(head, c+"_hz")
		}
		_ = out.Write(append(head, "pairs_hz", "pairs_sd_hz", "car", "width_ps")) // Flush tells
		for _, shot := range s.Shots {
			line := append([]string{strconv.Itoa(shot.Number)}, shot.Values...)
			line = append(line, strings.Join(shot.Condition, "+"), shot.Directory)
			for _, c := range s.Channel {
				cell := ""
				if r, ok := shot.Rates[c]; ok {
					cell = number(&r)
				}
				line = append(line, cell)
			}
			_ = out.Write(append(line, number(shot.Pairs), number(shot.PairsSD), number(shot.CAR), number(shot.Width)))
		}
		out.Flush()
		return out.Error()
	})
}

func number(v *float64) string {
	if v == nil {
		return ""
	}
	return strconv.FormatFloat(*v, 'g', 10, 64)
}

// draw draws rates, pairs, CAR and width against the first value, a curve for each of the
// second; what no run has is not drawn.
func (s *Series) draw() error {
	for name, c := range map[string]struct {
		label string
		of    map[string]func(Shot) (y, sd float64, ok bool)
	}{
		"rates.svg": {"tags per second", s.rateCurves()},
		"pairs.svg": {"pairs per second", map[string]func(Shot) (float64, float64, bool){"": func(f Shot) (float64, float64, bool) { return with(f.Pairs, f.PairsSD) }}},
		"car.svg":   {"coincidences over accidentals", map[string]func(Shot) (float64, float64, bool){"": func(f Shot) (float64, float64, bool) { return with(f.CAR, nil) }}},
		"width.svg": {"width of the peak (ps, standard deviation)", map[string]func(Shot) (float64, float64, bool){"": func(f Shot) (float64, float64, bool) { return with(f.Width, nil) }}},
	} {
		chart := plot.Chart{Title: s.Name + ": " + c.label, X: plot.Axis{Label: s.axisLabel()}, Y: plot.Axis{Label: c.label}}
		for _, key := range sortedKeys(c.of) {
			s.addCurves(&chart, key, c.of[key])
		}
		if len(chart.Curves) == 0 {
			continue
		}
		if err := run.Atomically(filepath.Join(s.dir, name), func(w io.Writer) error { return plot.File(w, chart) }); err != nil {
			return err
		}
	}
	return nil
}

func with(v, sd *float64) (float64, float64, bool) {
	switch {
	case v == nil:
		return 0, 0, false
	case sd == nil:
		return *v, 0, true
	}
	return *v, *sd, true
}

func (s *Series) rateCurves() map[string]func(Shot) (float64, float64, bool) {
	all := map[string]func(Shot) (float64, float64, bool){}
	for _, c := range s.Channel {
		all[c] = func(f Shot) (float64, float64, bool) { r, ok := f.Rates[c]; return r, 0, ok }
	}
	return all
}

// addCurves adds a curve of some runs, or one for each second value.
func (s *Series) addCurves(chart *plot.Chart, name string, of func(Shot) (float64, float64, bool)) {
	curves := map[string][]plot.Point{}
	for _, shot := range s.Shots {
		y, sd, ok := of(shot)
		if !ok {
			continue
		}
		key := name
		if len(shot.Values) > 1 {
			key = strings.TrimSpace(name + " " + shot.Values[1])
		}
		curves[key] = append(curves[key], plot.Point{X: s.place(shot.Values[0]), Y: y, SD: sd})
		chart.Simulated = chart.Simulated || shot.Simulated
	}
	for _, key := range sortedKeys(curves) {
		points := curves[key]
		sortPoints(points)
		chart.Curves = append(chart.Curves, plot.Curve{Name: key, Kind: plot.Line, Points: points}, plot.Curve{Kind: plot.Errors, Points: points})
	}
}
