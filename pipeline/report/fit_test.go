package report

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"tsrun/pipeline/align"
	"tsrun/pipeline/plot"
	"tsrun/pipeline/run"
	"tsrun/pipeline/run/runtest"
	"tsrun/pipeline/stage"
	"tsrun/pipeline/track"
)

// The numbers of a fit are those of the bins, and it is drawn at their height.
func TestFitOfATable(t *testing.T) {
	for _, columns := range []string{"lower_edge_ps,counts", "lower_edge_ps,counts,g2,g2_sd"} {
		var lines strings.Builder
		for k := -50; k < 50; k++ {
			x := (float64(k)*50 + 24.5 - 120) / 200
			counts := int(10 + 500*math.Exp(-x*x/2))
			fmt.Fprintf(&lines, "%d,%d", k*50, counts)
			if strings.Contains(columns, "g2") {
				fmt.Fprintf(&lines, ",%v,0.1", float64(counts)/10)
			}
			lines.WriteByte('\n')
		}
		picture, err := PictureOf("x", strings.NewReader(columns+"\n"+lines.String()))
		if err != nil {
			t.Fatal(err)
		}
		table, err := readTable(strings.NewReader(columns + "\n" + lines.String()))
		if err != nil {
			t.Fatal(err)
		}
		words := table.addFit([]plot.Chart{picture.(plot.Chart)})
		for _, want := range []string{"centre 119.9", "standard deviation 19", "level 9.", "of 96 degrees"} {
			if !strings.Contains(words, want) {
				t.Errorf("%s: %q lacks %q", columns, words, want)
			}
		}
		_, curve := table.fit("counts", 1)
		if strings.Contains(columns, "g2") {
			_, curve = table.fit("g2", 1)
		}
		most := 0.0
		for _, p := range curve.Points {
			most = max(most, p.Y)
		}
		if want := map[bool]float64{false: 510, true: 51}[strings.Contains(columns, "g2")]; math.Abs(most-want) > 0.02*want {
			t.Errorf("%s: the fit is %v high, the bins %v", columns, most, want)
		}
	}
	for text, want := range map[string]string{
		"lower_edge_ps,counts\n":                               "",
		"lower_edge_ps,counts\n" + strings.Repeat("0,1\n", 40): "",
		"delay_ps,counts\n0,1\n50,2\n":                         "",
		"lower_edge_ps,counts\n0,-5\n50,x\n":                   "",
		"lower_edge_ps,counts\n0,5\n50,6\n100,5\n":             "No peak",
	} {
		table, err := readTable(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if words, curve := table.fit("counts", 1); !strings.HasPrefix(words, want) || want == "" && words != "" || len(curve.Points) > 0 {
			t.Errorf("%q: %q", text, words)
		}
	}
}

// A clock that was followed has two pictures of its deviations; one of an earlier release,
// which states no time deviation, has one.
func TestDeviationsAreDrawn(t *testing.T) {
	m := runtest.FullManifest(t)
	for name, c := range map[string]struct {
		points []track.AllanPoint
		want   int
	}{"both": {[]track.AllanPoint{{Tau: 1, Deviation: 1e-10, SD: 1e-11, Time: 5, TimeSD: 1}}, 2}, "older": {[]track.AllanPoint{{Tau: 1, Deviation: 1e-10, SD: 1e-11}}, 1}, "none": {nil, 0}} {
		summary, err := json.Marshal(stage.AlignSummary{Alignment: &align.Alignment{Track: &track.Track{Allan: c.points}}})
		if err != nil {
			t.Fatal(err)
		}
		r := run.Result{Stage: "align", Kind: "align", Summary: summary}
		if got := deviations(m, r); len(got) != c.want || c.want == 2 && (got[1].Name != "align-tdev" || got[1].Picture.(plot.Chart).Curves[0].Points[0].Y != 5) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
