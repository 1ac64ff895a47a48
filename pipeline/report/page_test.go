package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"tsrun/internal/need"
	"tsrun/pipeline/fact"
	"tsrun/pipeline/plot"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/run/runtest"
)

// pagedRun is a directory with tables of results, and its manifest.
func pagedRun(t *testing.T) (string, *run.Manifest) {
	t.Helper()
	d := runtest.NewDirectory(t)
	m := simulatedManifest(t)
	record, err := d.KeepRecipe([]run.RecipeSource{{Path: "coincidence.yaml", Bytes: []byte("version: 1 # <b>the first</b>\nname: coincidence\n")}},
		runtest.TwoNodes(), []byte("version: 1\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	m.Recipe.Files, m.Recipe.Repeats = record.Files, record.Repeats
	var g2, scan, dip strings.Builder
	g2.WriteString("# SIMULATED: computed and not measured; stage g2\nlower_edge_ps,counts\n")
	scan.WriteString("# SIMULATED: computed and not measured; stage scan\ndelay_ps,counts\n")
	dip.WriteString("# SIMULATED: computed and not measured; stage dip\nlower_edge_ps,counts,g2,g2_sd\n")
	for i := -40; i < 40; i++ {
		x := float64(i) / 6
		fmt.Fprintf(&g2, "%d,%d\n", i*50, int(13_000*math.Exp(-x*x/2)))
		fmt.Fprintf(&scan, "%d,%d\n", 24_000+i*50, 3+int(59_700*(math.Erf((x*300+400)/300)-math.Erf((x*300-400)/300))/2))
		fmt.Fprintf(&dip, "%d,%d,%.3f,%.3f\n", i*100, 400+i, 1-0.96*math.Exp(-x*x), 0.05)
	}
	for name, text := range map[string]string{"g2": g2.String(), "scan": scan.String(), "dip": dip.String(), "dark": "# measured\nlower_edge_ps,counts\n"} {
		if err := os.WriteFile(filepath.Join(d.Path(), run.ResultsDir, name+".csv"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	m.Common = m.FindCommon(m.StartScale)
	m.Judge()
	return d.Path(), m
}

// simulatedManifest is that of a run whose stages looked at simulated tags.
func simulatedManifest(t *testing.T) *run.Manifest {
	m := reportedManifest(t)
	for i, r := range m.Results {
		if summary := string(r.Summary); summary != "" {
			summary = strings.Replace(summary, `"simulated":false`, `"simulated":true`, 1)
			m.Results[i].Summary = json.RawMessage(summary)
		}
	}
	return m
}

func pageOf(t *testing.T, m *run.Manifest, dir string) string {
	t.Helper()
	var out, again bytes.Buffer
	if err := Page(&out, m, dir); err != nil {
		t.Fatal(err)
	}
	if err := Page(&again, m, dir); err != nil || !bytes.Equal(out.Bytes(), again.Bytes()) {
		t.Error("the same run has another page")
	}
	page := out.String()
	if len(page) > 1_000_000 {
		t.Errorf("the page has %d bytes", len(page))
	}
	tags := strings.ToLower(strings.Join(regexp.MustCompile(`<[^>]*>`).FindAllString(page, -1), "\n"))
	for _, evil := range []string{"<script", "<iframe", "<object", "<img", "<link", "<form", "href=", "src=", "onerror", "nan", "inf "} {
		if strings.Contains(tags, evil) {
			t.Errorf("an element of the page has %s", evil)
		}
	}
	for _, svg := range strings.Split(page, "<svg ")[1:] {
		if m.Has(run.Simulated) && !strings.Contains(svg[:strings.Index(svg, "</svg>")], "SIMULATED") {
			t.Errorf("a picture is not marked: %.300s", svg)
		}
	}
	return page
}

func TestPageGolden(t *testing.T) {
	dir, m := pagedRun(t)
	page := pageOf(t, m, dir)
	golden(t, "report.html", page)
	golden(t, "paragraph.txt", Paragraph(m)+"\n")
	for _, name := range []string{"g2", "scan", "dip"} { // the numbers of a picture are those of its table
		table, err := os.ReadFile(filepath.Join(dir, run.ResultsDir, name+".csv"))
		if err != nil {
			t.Fatal(err)
		}
		_, lines, _ := strings.Cut(string(table), "\n")
		if !strings.Contains(page, `<pre tabindex="0">`+lines+"</pre>") {
			t.Errorf("the page has not the lines of %s.csv", name)
		}
	}
}

// Runs of every kind have a report, and texts of others are texts in it.
func TestPageOfAnyRun(t *testing.T) {
	dir, _ := pagedRun(t)
	evil := "</pre><script>alert('x')</script><img src=x onerror=alert(1)>\x1b[31m\x00\"'&"
	for name, change := range map[string]func(*run.Manifest){
		"interrupted": func(m *run.Manifest) {
			m.Notice(run.Reason{Condition: run.Interrupted, Message: "stopped by the user"})
		},
		"not ended": func(m *run.Manifest) { m.Ended = m.Started.AddDate(-3000, 0, 0) },
		"no tags": func(m *run.Manifest) {
			for _, n := range m.Nodes {
				for _, c := range n.Channels {
					*c = run.Channel{Controller: c.Controller}
				}
			}
			m.Segments, m.Results, m.Common = nil, nil, nil
		},
		"one node":         func(m *run.Manifest) { delete(m.Nodes, "bob") },
		"nothing":          func(m *run.Manifest) { *m = run.Manifest{} },
		"an older release": func(m *run.Manifest) { m.Common, m.Recipe.Repeats, m.Recipe.Files = nil, "", nil },
		"files elsewhere": func(m *run.Manifest) {
			m.Results[1].Files = []string{"../../etc/passwd.csv", "/etc/x.csv", "results/none.csv", ""}
		},
		"summaries of rest": func(m *run.Manifest) {
			m.Results[0].Summary = json.RawMessage(`{"alignment":{"track":{"allan":[{}]}}}`)
		},
		"evil": func(m *run.Manifest) {
			m.Name, m.Run, m.Tsrun, m.Trigger.Master = evil, evil, evil, evil
			m.Nodes[evil] = m.Nodes["bob"]
			n := m.Nodes[evil]
			n.Channels[evil], n.Controllers[evil], n.Sinks[evil] = n.Channels["idler"], n.Controllers["tc"], n.Sinks["raw"]
			n.Hostname, n.Version = evil, evil
			n.Controllers["tc"].Device = fact.Device{Vendor: evil, Model: evil, Serial: evil, Firmware: evil}
			n.Controllers["tc"].Driver, n.Controllers["tc"].SHA256 = evil, evil
			m.Results[0].Stage, m.Results[1].Skipped = evil, evil
			m.Recipe.Git.Note, m.Recipe.Git.Path, m.Recipe.Overrides = evil, evil, []string{evil}
			m.Recipe.Files = append(m.Recipe.Files, run.RecipeFile{File: evil})
			m.Segments[0].File, m.Segments[0].Sink, m.Segments[0].Channel = evil, evil, evil
			for i := range 500 {
				m.Notice(run.Reason{Condition: run.Tainted, Node: evil, Message: evil + fmt.Sprint(i)})
			}
		},
		"many channels": func(m *run.Manifest) {
			n := m.Nodes["bob"]
			for i := range 80 {
				name := fmt.Sprint("channel", i)
				c := *n.Channels["idler"]
				n.Channels[name] = &c
				for k := range uint64(100) {
					m.Segments = append(m.Segments, run.Segment{Node: "bob", Channel: name, Verified: true,
						Segment: fact.Segment{File: "raw/bob/" + name, Tags: 5, FirstPs: k * 1e10, LastPs: (k + 1) * 1e10}})
					c.Losses = append(c.Losses, fact.Loss{AtPs: k * 1e9, Tags: 1, Why: "x"})
				}
			}
		},
		"many stages": func(m *run.Manifest) {
			for i := range 100 {
				r := m.Results[3]
				r.Stage, r.Files = fmt.Sprint("stage", i), []string{"results/g2.csv"}
				m.Results = append(m.Results, r)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := simulatedManifest(t)
			change(m)
			m.Judge()
			page := pageOf(t, m, dir)
			if strings.Contains(page, "root:") || !strings.Contains(page, "</html>") {
				t.Error(page)
			}
		})
	}
	if page := pageOf(t, simulatedManifest(t), filepath.Join(dir, "nowhere")); !strings.Contains(page, "cannot be drawn") {
		t.Error("tables that are not there are drawn")
	}
}

// Damaged tables are told and not drawn.
func TestTablesOfAnybody(t *testing.T) {
	for text, want := range map[string]string{
		"":                                  "no line of columns",
		"# only\n":                          "no line of columns",
		"one\n1\n":                          "1 columns",
		"delay_ps,counts\n1,2,3\n":          "line 1 has 3 cells",
		"a,b\n1,2\n":                        "no picture of a table of a, b",
		strings.Repeat("x", 1<<20):          "line after line 0 is longer than 64 KiB",
		"delay_ps,counts\n1,x\n":            "",
		"delay_ps,counts\nNaN,Inf\n1e999,1": "",
		"start_ps,a.b\n0,5\n":               "",
		"time_ps,offset_ps,offset_sd_ps,frequency_ppb,frequency_sd_ppb\n": "",
	} {
		picture, err := PictureOf("x", strings.NewReader(text))
		switch {
		case want == "" && (err != nil || picture == nil):
			t.Errorf("%.40q: %v", text, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
}

// A picture says that cells are no numbers; an empty one is what is not known.
func TestPicturesSayWhatIsNoNumber(t *testing.T) {
	for table, want := range map[string][2]string{ // what the picture holds, and what not
		"delay_ps,counts\n1,5\n2,NaN\n3,-inf\n4,x\n5,6\n": {"x, without 3 cells that are no numbers", "recorded"},
		"delay_ps,counts\n1,NaN\n":                        {"no cell is a number", "recorded"},
		"delay_ps,counts\n1,5\n2,\n3,6\n":                 {"coincidences", "without"},
		"delay_ps,counts\n1,\n":                           {"nothing was recorded", "without"},
	} {
		picture, err := PictureOf("x", strings.NewReader(table))
		var svg strings.Builder
		if err == nil {
			err = plot.File(&svg, picture)
		}
		if err != nil || !strings.Contains(svg.String(), want[0]) || strings.Contains(svg.String(), want[1]) {
			t.Errorf("%q: %v, %.2000s", table, err, svg.String())
		}
	}
}

// The programs that a report shows run, in the directory of the run.
func TestSnippetsRun(t *testing.T) {
	python := need.Python(t, "pandas, numpy", "python3-pandas")
	dir := runtest.WriteRun(t)
	m, err := run.ReadManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	reader, err := filepath.Abs("../../python")
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]bool{}
	for _, s := range Snippets(m) {
		if s.Language == "MATLAB" {
			continue
		}
		c := exec.CommandContext(t.Context(), python, "-W", "error", "-c", s.Code)
		c.Dir, c.Env = dir, append(os.Environ(), "PYTHONPATH="+reader)
		out, err := c.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s\n%s", s.Language, err, s.Code, out)
		}
		for _, want := range []string{"6 tags", "6 tags by tsrun.py", "('delay_ps', 'counts') 1", "count"} {
			said[want] = said[want] || strings.Contains(string(out), want)
		}
	}
	for _, want := range []string{"6 tags", "6 tags by tsrun.py", "count"} {
		if !said[want] {
			t.Errorf("no snippet said %q", want)
		}
	}
}

// A report is part of what SHA256SUMS proves, and notes are not.
func TestPageAndNotesOfAVerifiedRun(t *testing.T) {
	d := runtest.NewDirectory(t)
	m := &run.Manifest{Name: "pairs", Started: runtest.Noon, Ended: runtest.Noon, Nodes: map[string]*run.Node{}}
	runtest.WriteChannel(t, d, m, "alice", "signal", [][]uint64{{1, 2}})
	notes := filepath.Join(d.Path(), run.NotesDir, "day 1")
	if err := os.MkdirAll(notes, 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(notes, "a\nb.txt"), "written during the run")
	if _, err := d.KeepRecipe(nil, &recipe.Recipe{}, nil, nil); err != nil {
		t.Fatal(err)
	}
	run.Conclude(m)
	if err := WritePage(m, d.Path()); err != nil {
		t.Fatal(err)
	}
	if err := d.Seal(m); err != nil {
		t.Fatal(err)
	}
	write(filepath.Join(notes, "a\nb.txt"), "changed")
	write(filepath.Join(d.Path(), run.NotesDir, "b"), "new")
	if v := runtest.MustVerify(t, d.Path()); len(v.Findings) > 0 || len(v.Notes) != 2 {
		t.Errorf("%+v", v)
	}
	write(filepath.Join(d.Path(), run.ReportFile), "another")
	if v := runtest.MustVerify(t, d.Path()); len(v.Findings) != 1 || v.Findings[0].File != run.ReportFile || v.Findings[0].Code != "hash" {
		t.Errorf("%+v", v)
	}
}
