package stage_test

import (
	"encoding/csv"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/run/runtest"
	"tsrun/pipeline/stage"
	"tsrun/sdk/quantity"
)

// table reads a result as columns of numbers; cells may be empty.
func table(t *testing.T, d *run.Directory, file string) (names []string, rows [][]string) {
	t.Helper()
	r := csv.NewReader(strings.NewReader(strings.Join(lines(t, d, file), "\n")))
	r.Comment = '#'
	all, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return all[0], all[1:]
}

func parsed(t *testing.T, cell string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(cell, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// Every stage that counts, over three controllers with clocks of their own.
func TestStagesThatCount(t *testing.T) {
	tags := pairsOf(5, []int64{0, 400_000, -300_000}, []int64{0, 12_000_000_000, -7_000_000_000})
	tags[2] = slices.DeleteFunc(tags[2], func(t uint64) bool { return t > 400_000_000_000 && t < 420_000_000_000 }) // a gap
	r := &recipe.Recipe{Trigger: recipe.Trigger{Method: "scheduled"}, Stages: []recipe.Stage{
		alignStage("one", "alice.signal", "bob.idler"),
		alignStage("two", "alice.signal", "carol.third"),
		runtest.Stage("scan", "scan", stage.ScanConfig{Start: "bob.idler", Stop: "carol.third", From: -20_000, To: 20_000, Step: 100, Window: 400}),
		runtest.Stage("triples", "coincidences", stage.CoincidencesConfig{Of: []string{"alice.signal", "bob.idler", "carol.third"}, Window: 1000, Shift: 2_000_000}),
		runtest.Stage("moved", "coincidences", stage.CoincidencesConfig{Of: []string{"alice.signal", "bob.idler", "carol.third"}, Window: 1000,
			Offsets: map[string]quantity.Time{"carol.third": 50_000}}),
		runtest.Stage("g2", "g2", stage.G2Config{HistogramConfig: stage.HistogramConfig{Start: "alice.signal", Stop: "bob.idler", Range: 100_000, Bin: 500}, Period: 20_000_000}),
		runtest.Stage("rates", "rates", stage.RatesConfig{Of: []string{"alice.signal", "carol.third"}, Bin: 10_000_000_000}),
	}}
	d, m, _, err := analysed(t, map[string][]uint64{"alice.signal": tags[0], "bob.idler": tags[1], "carol.third": tags[2]}, r)
	if err != nil {
		t.Fatal(err)
	}
	if !m.Has(run.Good) {
		t.Fatalf("condition %v: %+v", m.Condition, m.Reasons)
	}
	for _, result := range m.Results[2:] {
		if len(result.Files) != 2 {
			t.Errorf("%s wrote %v; want a table and a summary", result.Stage, result.Files)
		}
		text, err := os.ReadFile(filepath.Join(d.Path(), "results", result.Stage+".json"))
		var same bool
		if err == nil {
			same = compact(t, text) == compact(t, result.Summary)
		}
		if !same {
			t.Errorf("%s.json is not the summary (%v)", result.Stage, err)
		}
	}

	scan, _ := stage.DecodeSummary[stage.ScanSummary](result(t, m, "scan"))
	if p := scan.Peak; p == nil || math.Abs(p.Offset.Float()) > 6*p.OffsetSD+10 || p.Sigma < 60 || p.Sigma > 80 || !scan.Corrected || !scan.Simulated {
		t.Errorf("scan: %+v, peak %+v", scan, scan.Peak)
	}
	if names, rows := table(t, d, "results/scan.csv"); strings.Join(names, ",") != "delay_ps,counts" || len(rows) != 401 || rows[0][0] != "-20000" {
		t.Errorf("scan.csv: %v, %d rows", names, len(rows))
	}

	triples, _ := stage.DecodeSummary[stage.CoincidencesSummary](result(t, m, "triples"))
	if triples.All < 19_000 || triples.Shift != 2_000_000 || len(triples.Parts) != 3 || triples.Heralding[2].Value < 0.95 {
		t.Errorf("triples: %+v", triples)
	}
	names, rows := table(t, d, "results/triples.csv")
	if strings.Join(names, ",") != "a_ps,b_ps,c_ps,delta_b_ps,delta_c_ps,one_to_one" || uint64(len(rows)) != triples.All {
		t.Errorf("triples.csv: %v, %d rows", names, len(rows))
	}
	for _, row := range rows {
		b, c := parsed(t, row[3]), parsed(t, row[4])
		if math.Max(0, math.Max(b, c))-math.Min(0, math.Min(b, c)) > 500 {
			t.Fatalf("row %v", row)
		}
	}
	if moved, _ := stage.DecodeSummary[stage.CoincidencesSummary](result(t, m, "moved")); moved.All > 100 {
		t.Errorf("an offset of 50 ns leaves %d triples", moved.All)
	}

	g2, _ := stage.DecodeSummary[stage.G2Summary](result(t, m, "g2"))
	if g2.AtZero < 100 || len(g2.Pulses) != 9 || g2.Pulses[4].Number != 0 {
		t.Errorf("g2: %+v", g2)
	}
	if names, rows := table(t, d, "results/g2.csv"); strings.Join(names, ",") != "lower_edge_ps,counts,g2,g2_sd" || len(rows) != 400 {
		t.Errorf("g2.csv: %v, %d rows", names, len(rows))
	}
	checkRates(t, d, m, tags[0], tags[2])
}

func checkRates(t *testing.T, d *run.Directory, m *run.Manifest, a, c []uint64) {
	t.Helper()
	rates, _ := stage.DecodeSummary[stage.RatesSummary](result(t, m, "rates"))
	if rates.Channels[0].Tags != uint64(len(a)) || len(rates.Channels[0].Gaps) != 0 || len(rates.Channels[1].Gaps) != 1 || rates.Empty[1] < 1 || rates.Empty[0] != 0 {
		t.Errorf("rates: %+v", rates)
	}
	names, rows := table(t, d, "results/rates.csv")
	if strings.Join(names, ",") != "start_ps,alice.signal,carol.third" {
		t.Errorf("rates.csv: %v", names)
	}
	sums := [2]float64{}
	for _, row := range rows {
		for i, cell := range row[1:] {
			if cell != "" {
				sums[i] += parsed(t, cell)
			}
		}
	}
	if sums != [2]float64{float64(len(a)), float64(len(c))} {
		t.Errorf("rates.csv holds %v tags, recorded are %d and %d", sums, len(a), len(c))
	}
}

func compact(t *testing.T, text []byte) string {
	t.Helper()
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// Clocks that nothing connects are counted each in its own time.
func TestRatesNeedNoCommonClock(t *testing.T) {
	tags := pairsOf(2, []int64{0, 0}, []int64{0, 0})
	r := &recipe.Recipe{Trigger: recipe.Trigger{Method: "scheduled"}, Stages: []recipe.Stage{
		runtest.Stage("rates", "rates", stage.RatesConfig{Of: []string{"alice.signal", "bob.idler"}, Bin: 10_000_000_000}),
	}}
	_, m, _, err := analysed(t, map[string][]uint64{"alice.signal": tags[0], "bob.idler": tags[1]}, r)
	if err != nil {
		t.Fatal(err)
	}
	if rates, ok := stage.DecodeSummary[stage.RatesSummary](result(t, m, "rates")); !ok || rates.Corrected || len(rates.Channels) != 2 {
		t.Errorf("rates: %+v of %+v", rates, m.Results)
	}
}
