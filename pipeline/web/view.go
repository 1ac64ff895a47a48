package web

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"maps"
	"slices"
	"time"

	"tsrun/pipeline/plot"
	"tsrun/pipeline/report"
	"tsrun/sdk/quantity"
)

//go:embed static
var static embed.FS

var pages = template.Must(template.New("").Funcs(template.FuncMap{"svg": svgOf}).ParseFS(static, "static/*.html"))

// sectionNames are the parts of the page that are exchanged when they change.
var sectionNames = []string{"verdict", "left", "problems", "nodes", "rates", "pairs", "seen", "clocks", "transfers", "events"}

// view is what the board showed at one moment. Nothing changes it.
type view struct {
	at       time.Time
	sections map[string]template.HTML
	graphs   []graph
	facts    *facts
	metrics  []metric
}

// graph is a picture of curves that grow.
type graph struct {
	ID, In string // its name; the section that it stands in
	Title  string
	X, Y   string // what the axes show, with units
	Log    bool   // may be looked at with a logarithmic axis
	Logs   bool   // both axes are logarithmic
	Curves []plot.Curve
	Empty  string
}

// look makes a view of the board.
func (b *board) look(now time.Time) (*view, error) {
	v := &view{at: now, facts: b.facts(now), graphs: b.graphs(), sections: map[string]template.HTML{}, metrics: b.metrics(now)}
	for _, name := range sectionNames {
		var out bytes.Buffer
		if err := pages.ExecuteTemplate(&out, name, v.facts); err != nil {
			return nil, fmt.Errorf("write the section %s of the page: %w", name, err)
		}
		v.sections[name] = template.HTML(out.String())
	}
	return v, nil
}

// graphs are the curves of the board.
func (b *board) graphs() []graph {
	rates := graph{ID: "rates", In: "rates", Title: "rate of each channel", X: "time / s", Y: "tags per s", Log: true, Empty: "no rate is known yet: a channel has recorded for less than a quarter of a second"}
	if b.finished != nil {
		rates.Empty = "no rates were watched while it was recorded; see the table above, and results of a stage rates below"
	}
	for _, name := range b.channelNames() {
		rates.Curves = append(rates.Curves, plot.Curve{Name: name, Kind: plot.Line, Points: b.channels[name].curve.Points()})
	}
	all := slices.Concat([]graph{rates}, b.benchGraphs(), b.pairGraphs())
	return append(all, b.clockGraphs()...)
}

// clockGraphs are those of each clock that an align stage follows. Of a stage that follows
// several they say which; one that was never found has none then, as the table says enough.
func (b *board) clockGraphs() (all []graph) {
	of := map[string]int{}
	for _, c := range b.clocks {
		of[c.sync.Stage]++
	}
	for _, key := range slices.Sorted(maps.Keys(b.clocks)) {
		c := b.clocks[key]
		stage, pair := c.sync.Stage, c.sync.Target+" minus "+c.sync.Reference
		if of[stage] > 1 {
			if len(c.offset.Points()) == 0 {
				continue
			}
			stage += ", " + pair
		}
		all = append(all,
			graph{ID: "offset-" + key, In: "clocks", Title: stage + ": offset, ± sd", X: "time / s", Y: "offset / ps", Curves: []plot.Curve{{Name: pair, Kind: plot.Band, Points: c.offset.Points()}}, Empty: "not found yet"},
			graph{ID: "frequency-" + key, In: "clocks", Title: stage + ": frequency, ± sd", X: "time / s", Y: "frequency / ppb", Curves: []plot.Curve{{Name: pair, Kind: plot.Band, Points: c.pace.Points()}}, Empty: "not found yet"})
		for _, d := range report.DeviationsOf(c.allan) {
			d.Points = slices.DeleteFunc(d.Points, func(p plot.Point) bool { return !(p.Y > 0) }) // these axes have no place for them
			if b.finished == nil || len(d.Points) > 0 {
				all = append(all, graph{ID: d.Name + "-" + key, In: "clocks", Title: stage + ", while it is recorded: " + d.Title, X: d.X, Y: d.Y, Logs: true,
					Curves: []plot.Curve{{Name: pair, Kind: plot.Errors, Points: d.Points}}, Empty: "not followed for long enough yet, or it wanders by less than the pairs can tell"})
			}
		}
	}
	return all
}

// svgOf draws a graph for a page without scripts.
func svgOf(g graph, simulated bool) template.HTML {
	var out bytes.Buffer
	_ = plot.SVG(&out, plot.Chart{Title: g.Title, X: plot.Axis{Label: g.X, Log: g.Logs}, Y: plot.Axis{Label: g.Y, Log: g.Logs}, Curves: g.Curves, Empty: g.Empty, Simulated: simulated})
	return template.HTML(out.String()) // plot escapes all that it is given
}

// message is what the stream tells: all there is, or what has changed.
type message struct {
	At       int64                    `json:"at"` // ms since the server began; monotonic
	Over     bool                     `json:"over,omitempty"`
	Sections map[string]template.HTML `json:"sections,omitempty"`
	Graphs   []graphChange            `json:"graphs,omitempty"`
}

// graphChange is what a graph shows from some points on; those before are as they were.
type graphChange struct {
	ID        string        `json:"id"`
	In        string        `json:"in"`
	Title     string        `json:"title"`
	X         string        `json:"x"`
	Y         string        `json:"y"`
	Log       bool          `json:"log,omitempty"`
	Logs      bool          `json:"logs,omitempty"`
	Empty     string        `json:"empty"`
	Simulated bool          `json:"simulated"`
	Curves    []curveChange `json:"curves"`
}

// curveChange is a curve from its point From on; it ends with the points that are here.
type curveChange struct {
	Name  string            `json:"name"`
	Steps bool              `json:"steps,omitempty"` // level from each point to the next
	From  int               `json:"from"`
	X     []quantity.Number `json:"x"`
	Y     []quantity.Number `json:"y"`
	SD    []quantity.Number `json:"sd,omitempty"`
}

// since is what v shows otherwise than an earlier view; nil is none.
func (v *view) since(old *view) message {
	m := message{Over: v.facts.Over, Sections: map[string]template.HTML{}}
	for name, s := range v.sections {
		if old == nil || old.sections[name] != s {
			m.Sections[name] = s
		}
	}
	for _, g := range v.graphs {
		if c, changed := g.since(graphOf(old, g.ID)); changed {
			c.Simulated = v.facts.Simulated
			m.Graphs = append(m.Graphs, c)
		}
	}
	return m
}

func graphOf(v *view, id string) *graph {
	if v != nil {
		for i := range v.graphs {
			if v.graphs[i].ID == id {
				return &v.graphs[i]
			}
		}
	}
	return nil
}

func (g graph) since(old *graph) (c graphChange, changed bool) {
	c = graphChange{ID: g.ID, In: g.In, Title: g.Title, X: g.X, Y: g.Y, Log: g.Log, Logs: g.Logs, Empty: g.Empty}
	changed = old == nil || len(old.Curves) != len(g.Curves) || old.Empty != g.Empty
	for i, k := range g.Curves {
		var before []plot.Point
		if old != nil && i < len(old.Curves) && old.Curves[i].Name == k.Name {
			before = old.Curves[i].Points
		}
		from := same(before, k.Points)
		changed = changed || from != len(k.Points) || from != len(before)
		next := curveChange{Name: k.Name, Steps: k.Kind == plot.Steps, From: from, X: []quantity.Number{}, Y: []quantity.Number{}}
		for _, p := range k.Points[from:] {
			next.X, next.Y = append(next.X, quantity.Number(p.X)), append(next.Y, quantity.Number(p.Y))
			if k.Kind == plot.Band || k.Kind == plot.Errors {
				next.SD = append(next.SD, quantity.Number(p.SD))
			}
		}
		c.Curves = append(c.Curves, next)
	}
	return c, changed
}

// same counts the points that two curves begin with.
func same(a, b []plot.Point) (n int) {
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}
