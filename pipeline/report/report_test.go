package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tsrun/pipeline/align"
	"tsrun/pipeline/correlate"
	"tsrun/pipeline/fact"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/run/runtest"
	"tsrun/pipeline/stage"
	"tsrun/pipeline/text"
	"tsrun/sdk/quantity"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares text with testdata/name.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", path, diff)
	}
}

func summaryOf(t *testing.T, v any) json.RawMessage {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// reportedManifest is one of a run with results of every kind.
func reportedManifest(t *testing.T) *run.Manifest {
	m := runtest.FullManifest(t)
	m.Results = fullResults(t)
	m.Judge()
	return m
}

func fullResults(t *testing.T) []run.Result {
	return []run.Result{
		{Stage: "align", Kind: "align", Files: []string{"results/align.json"}, Summary: summaryOf(t, stage.AlignSummary{
			Reference: "alice.signal", Target: "bob.idler", OffsetPs: 400_030, OffsetSDPs: 2.4,
			ReferencePs: 2_500_000_000_000, Frequency1e15: 12_000_400, FrequencyPpb: 12.0004, FrequencySDPpb: 0.0123, Simulated: true,
			Alignment: &align.Alignment{Offset: quantity.NewFine(400_030, 0.2), Warning: "the clocks do not keep to a straight line"}})},
		{Stage: "pairs", Kind: "coincidences", Files: []string{"results/pairs.csv"}, Summary: summaryOf(t, stage.CoincidencesSummary{
			Of: []string{"alice.signal", "bob.idler"}, Corrected: true,
			Coincidences: correlate.Coincidences{Window: 1000, Fold: correlate.Fold{
				Of: "AB", All: 59_800, OneToOne: 59_790, Accidentals: 12.5, AccidentalsSD: 1.25,
				Heralding: []correlate.Efficiency{{Of: "B", By: "A", Value: 0.598, SD: 0.0016}}}}})},
		{Stage: "g2", Kind: "histogram", Files: []string{"results/g2.csv"}, Summary: summaryOf(t, stage.HistogramSummary{
			Start: "alice.signal", Stop: "bob.idler", Corrected: true, RangePs: 20_000, BinPs: 50,
			Pairs: 60_000, PeakPs: new(int64(-25)), PeakCounts: 13_000})},
		{Stage: "dark", Kind: "histogram", Files: []string{"results/dark.csv"}, Summary: summaryOf(t, stage.HistogramSummary{
			Start: "alice.signal", Stop: "bob.idler", RangePs: 20_000, BinPs: 50, NoValue: "nothing was recorded by bob.idler"})},
		{Stage: "far apart", Kind: "histogram", Files: []string{}, Summary: summaryOf(t, stage.HistogramSummary{
			Start: "alice.signal", Stop: "bob.idler", RangePs: 20_000, BinPs: 50})},
		{Stage: "late", Kind: "align", Files: []string{"results/late.json"}, Summary: summaryOf(t, stage.AlignSummary{
			Reference: "alice.herald", Target: "bob.idler", Refused: true, Reason: "no peak stands out", Hint: "search a wider range"})},
		{Stage: "triples", Kind: "coincidences", Files: []string{"results/triples.csv"}, Summary: summaryOf(t, stage.CoincidencesSummary{
			Of: []string{"alice.signal", "alice.herald", "bob.idler"},
			Coincidences: correlate.Coincidences{Window: 1000, Fold: correlate.Fold{
				Of: "ABC", All: 57, OneToOne: 57, Accidentals: 50.2, AccidentalsSD: 2.5,
				Heralding: []correlate.Efficiency{{Of: "C", By: "AB", Value: 0.0012, SD: 0.0011}}}}})},
		{Stage: "scan", Kind: "scan", Files: []string{"results/scan.csv"}, Summary: summaryOf(t, stage.ScanSummary{
			Start: "alice.signal", Stop: "alice.herald", WindowPs: 800,
			Peak: &correlate.Peak{Offset: quantity.NewFine(24_000, 0.31), OffsetSD: 0.52, Sigma: 212.2, SigmaSD: 0.4, Pairs: 59_700, PairsSD: 245, Accidentals: 3.2}})},
		{Stage: "nothing", Kind: "scan", Files: []string{}, Summary: summaryOf(t, stage.ScanSummary{Start: "alice.signal", Stop: "bob.idler", Corrected: true})},
		{Stage: "dip", Kind: "g2", Files: []string{"results/dip.csv"}, Summary: summaryOf(t, stage.G2Summary{
			Start: "alice.signal", Stop: "alice.herald", BinPs: 100, AtZero: 0.031, AtZeroSD: 0.018, HighestPs: new(int64(20_050)), Highest: 1.2, HighestSD: 0.1,
			Pulses: []correlate.Pulse{{Number: -1, Counts: 480, G2: 0.99, SD: 0.045}, {Counts: 2, G2: 0.004, SD: 0.003}, {Number: 1, Counts: 490, G2: 1.01, SD: 0.045}}})},
		{Stage: "unplugged", Kind: "g2", Files: []string{"results/unplugged.csv"}, Summary: summaryOf(t, stage.G2Summary{
			Start: "alice.signal", Stop: "bob.idler", BinPs: 100, AtZero: quantity.None(), AtZeroSD: quantity.None(), Highest: quantity.None(), HighestSD: quantity.None(),
			NoValue: "nothing was recorded by bob.idler", Pulses: []correlate.Pulse{{G2: quantity.None(), SD: quantity.None()}, {Number: 1, G2: quantity.None(), SD: quantity.None()}}})},
		{Stage: "itself", Kind: "g2", Files: []string{"results/itself.csv"}, Summary: summaryOf(t, stage.G2Summary{
			Start: "alice.signal", Stop: "alice.signal", BinPs: 100, AtZero: 1.02, AtZeroSD: 0.1, HighestPs: new(int64(50)), Highest: 1.02, HighestSD: 0.1, SelfPairs: 100_000})},
		{Stage: "rates", Kind: "rates", Files: []string{"results/rates.csv"}, Summary: summaryOf(t, stage.RatesSummary{
			Of: []string{"alice.signal", "bob.idler"}, BinPs: 1e12, Empty: []int{0, 1}, Channels: []correlate.ChannelRate{
				{Tags: 120_000, Rate: 24_000}, {Tags: 90_000, Rate: 18_000.5, Gaps: []correlate.Gap{{From: 1e12, To: 3e12}}}}})},
		{Stage: "never", Kind: "histogram", Files: []string{}, Skipped: "alice.herald has no tags"},
	}
}

func TestManifestGolden(t *testing.T) {
	text := runtest.ManifestText(t, reportedManifest(t))
	golden(t, "manifest.json", string(text))
	var back run.Manifest
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if again := runtest.ManifestText(t, &back); string(again) != string(text) {
		t.Errorf("a manifest that was read back differs:\n%s", cmp.Diff(string(text), string(again)))
	}
}

func TestReportGolden(t *testing.T) {
	good := reportedManifest(t)
	good.Nodes["bob"].Channels["idler"].Lost = 0
	for i := range good.Segments {
		good.Segments[i].Lost = 0
	}
	good.Judge()

	remote := reportedManifest(t)
	remote.Nodes["bob"].Host = "remote"
	remote.Trigger.Skew = remote.Skews()
	remote.Notice(run.Reason{Condition: run.Interrupted, Message: "stopped by the user"})
	for i := range 20 {
		remote.Notice(run.Reason{Condition: run.Tainted, Node: "bob", Channel: "idler", Message: fmt.Sprint("reason ", i)})
	}
	remote.Judge()

	hardware := reportedManifest(t)
	hardware.Trigger.Method, hardware.Trigger.Skew, hardware.Results = "hardware", nil, nil
	hardware.Nodes["bob"].Controllers["tc"].Device = fact.Device{Model: "evil\x1b[31m\nmodel"}

	single := run.NewManifest("00", "0.1.0", &recipe.Recipe{Name: "single", Nodes: []recipe.Node{{Name: "alice", Host: "local"}},
		Clock: recipe.Clock{Source: "none"}, Trigger: recipe.Trigger{Method: "scheduled", Master: "alice"}}, runtest.Noon)
	single.Judge()

	for name, m := range map[string]*run.Manifest{"good": good, "remote": remote, "hardware": hardware, "single": single} {
		var out bytes.Buffer
		if err := Report(&out, m, "runs/20260301T120000Z-coincidence", ReportWidth); err != nil {
			t.Fatal(err)
		}
		golden(t, "report-"+name+".txt", out.String())
	}
}

func TestFormats(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{text.Grouped(0), "0"}, {text.Grouped(999), "999"}, {text.Grouped(-1000), "-1 000"}, {text.Grouped(math.MinInt64), "-9 223 372 036 854 775 808"},
		{text.Hertz(0), "0.000 Hz"}, {text.Hertz(333), "0.333 Hz"}, {text.Hertz(999_999), "1000.0 Hz"}, {text.Hertz(20_024_600), "20.02 kHz"},
		{text.Hertz(123_456_789_000), "123.5 MHz"}, {text.Hertz(math.MaxInt64), "9223372 GHz"},
		{text.Picoseconds(-50), "-50 ps"}, {text.Picoseconds(99_999), "99 999 ps"}, {text.Picoseconds(1_000_000), "1 000 ns"},
		{text.Picoseconds(-400_030), "-400.03 ns"}, {text.Picoseconds(math.MinInt64), "-9 223 372 036 854 775.808 ns"},
		{text.Bounded(12, 9_999), "12 ± 9 999 ns"}, {text.Bounded(36_905, 680_953), "37 ± 681 us"}, {text.Bounded(499, 10_001), "0 ± 11 us"},
		{text.Seconds(5_000_000_000_000), "5.000 s"}, {text.Seconds(1_234_567_890_123), "1.234 s"},
		{fmt.Sprint(text.Rounded(2.5), text.Rounded(math.Inf(1)), text.Rounded(math.NaN()), text.Rounded(-1e300)), fmt.Sprint(3, int64(math.MaxInt64), 0, int64(math.MinInt64))},
		{text.Printable("a\x1b[2Jb\rc°µ"), "a\uFFFD[2Jb\uFFFDc°µ"}, {text.Printable("a\nb\n"), "a; b"}, {text.Printable("\n"), ""},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

// FuzzReport reports on manifests of anybody.
func FuzzReport(f *testing.F) {
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"nodes":{"a":null},"segments":[{"node":"a","file":"raw/a/../x","verified":true}]}`))
	f.Add([]byte(`{"nodes":{"a":{"controllers":{"tc":{"device":{"simulated":true}},"no":null},"channels":{"x":null},"sinks":{"s":null}},"b":null}}`))
	text, err := json.Marshal(runtest.GoodManifest())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, text []byte) {
		m := new(run.Manifest)
		if json.Unmarshal(text, m) != nil {
			return
		}
		var out strings.Builder
		if err := errors.Join(Report(&out, m, "x", ReportWidth), Page(&out, m, "x")); err != nil {
			t.Error(err)
		}
		Paragraph(m)
	})
}

// Tags that are not there were not computed.
func TestNothingWasComputed(t *testing.T) {
	m := &run.Manifest{Name: "x", Nodes: map[string]*run.Node{"a": {
		Controllers: map[string]*run.Controller{"tc": {Device: fact.Device{Simulated: true}}},
		Channels:    map[string]*run.Channel{"x": {}},
	}}}
	for tags, want := range map[uint64]string{0: "SIMULATED: a.tc\n", 1: "SIMULATED: a.tc; these tags were computed, not measured\n"} {
		m.Nodes["a"].Channels["x"].Tags = tags
		m.Judge()
		var out bytes.Buffer
		if err := Report(&out, m, "runs/x", 80); err != nil || !strings.Contains(out.String(), want) {
			t.Errorf("with %d tags, %v:\n%s", tags, err, &out)
		}
	}
}
