package stage_test

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"tsrun/internal/pairs"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/report"
	"tsrun/pipeline/run"
	"tsrun/pipeline/run/runtest"
	"tsrun/pipeline/stage"
	"tsrun/pipeline/track"
	"tsrun/sdk/quantity"
)

// A clock that wanders and jumps is followed, its jump is found and makes the
// run TAINTED, and later stages are corrected along its track.
func TestAnalyseFollowsClock(t *testing.T) {
	const jump = 4000.0 // ps
	a, b, truth := pairs.Experiment{Seed: 6, Seconds: 8, SinglesA: 20e3, SinglesB: 20e3, Start: 1_000_000,
		Frequency: 2e-8, WhiteFM: 3e-10, Steps: []pairs.Step{{At: 5, Size: jump}}}.Make()
	r := &recipe.Recipe{Trigger: recipe.Trigger{Method: "scheduled"}, Stages: []recipe.Stage{
		runtest.Stage("align", "align", stage.AlignConfig{Reference: "alice.signal", Target: "bob.idler",
			Search: 20 * quantity.Millisecond, MaxDrift: 20_000 * quantity.PartPerBillion}),
		pairsStage("pairs", "alice.signal", "bob.idler"),
	}}
	d, m, _, err := analysed(t, map[string][]uint64{"alice.signal": a, "bob.idler": b}, r)
	if err != nil {
		t.Fatal(err)
	}
	var reason *run.Reason
	for i, x := range m.Reasons {
		if x.Condition == run.Tainted && strings.Contains(x.Message, "the clock of bob.idler jumped by") {
			reason = &m.Reasons[i]
		}
	}
	if reason == nil || reason.AtPs == nil || math.Abs(float64(int64(*reason.AtPs-truth.Start))-5e12) > 1e11 {
		t.Errorf("reasons %+v", m.Reasons)
	}
	s, ok := stage.DecodeSummary[stage.AlignSummary](result(t, m, "align"))
	if !ok || s.Alignment == nil || s.Alignment.Track == nil || len(s.Alignment.Track.Steps) != 1 || len(s.Alignment.Track.Knots) > 0 || s.Parts != 1 {
		t.Fatalf("summary in the manifest: %+v", s)
	}
	if step := s.Alignment.Track.Steps[0]; math.Abs(step.Offset-jump) > 5*step.OffsetSD {
		t.Errorf("step %+v", step)
	}
	var whole stage.AlignSummary
	if err := json.Unmarshal([]byte(strings.Join(lines(t, d, "results/align.json"), "\n")), &whole); err != nil {
		t.Fatal(err)
	}
	rows := lines(t, d, "results/align.csv")
	knots := whole.Alignment.Track.Knots
	if len(knots) < 50 || len(rows) != len(knots)+2 || !strings.HasPrefix(rows[0], "# SIMULATED: computed and not measured; stage ") ||
		rows[1] != "time_ps,offset_ps,offset_sd_ps,frequency_ppb,frequency_sd_ppb" || rows[2]+"\n" != string(stage.AppendKnot(nil, knots[0])) {
		t.Errorf("%d knots, %d rows: %q", len(knots), len(rows), rows[:3])
	}
	p, ok := stage.DecodeSummary[stage.CoincidencesSummary](result(t, m, "pairs"))
	if want := 0.975 * float64(truth.Recorded); !ok || float64(p.All) < want { // within 500 ps of sigma 212 ps
		t.Errorf("%d pairs within the window, want %.0f of %d at least", p.All, want, truth.Recorded)
	}
	var out bytes.Buffer
	if err := report.Report(&out, m, d.Path(), 200); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"it drifts by white FM of ", "TAINTED: stage \"align\": the clock of bob.idler jumped by "} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, &out)
		}
	}
}

// What was seen while the run went on is a reason only where no stage had the
// whole record to say better.
func TestNoticeJumps(t *testing.T) {
	jumps := []track.Step{{Time: 5_000_000_000_000, Offset: 70, OffsetSD: 3}}
	for _, c := range []struct {
		name    string
		results []run.Result
		want    bool
	}{
		{"no analysis", nil, true},
		{"skipped", []run.Result{{Stage: "align", Kind: "align", Skipped: "no file"}}, true},
		{"refused", []run.Result{{Stage: "align", Kind: "align", Summary: json.RawMessage(`{"refused":true}`)}}, true},
		{"aligned", []run.Result{{Stage: "align", Kind: "align", Summary: json.RawMessage(`{"offset_ps":4}`)}}, false},
		{"another one aligned", []run.Result{{Stage: "b", Kind: "align", Summary: json.RawMessage(`{"offset_ps":4}`)}}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := runtest.GoodManifest()
			m.Results = c.results
			stage.NoticeJumps(m, "align", "bob.idler", jumps)
			m.Judge()
			if m.Has(run.Tainted) != c.want {
				t.Errorf("condition %v: %+v", m.Condition, m.Reasons)
			}
		})
	}
}
