package run

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tsrun/pipeline/align"
	"tsrun/pipeline/correlate"
	"tsrun/pipeline/recipe"
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

func twoNodes() *recipe.Recipe {
	return &recipe.Recipe{
		Name: "coincidence",
		Nodes: []recipe.Node{
			{Name: "alice", Host: "local",
				Controllers: []recipe.Controller{{Name: "tc", Driver: "tc-ethernet"}},
				Channels:    []recipe.Channel{{Name: "signal", Controller: "tc", Input: 1}, {Name: "herald", Controller: "tc", Input: 2}}},
			{Name: "bob", Host: "local",
				Controllers: []recipe.Controller{{Name: "tc", Driver: "tc-ethernet"}},
				Channels:    []recipe.Channel{{Name: "idler", Controller: "tc", Input: 1}}},
		},
		Clock:   recipe.Clock{Source: "none"},
		Trigger: recipe.Trigger{Master: "alice", Method: "scheduled", Lead: quantity.Time(500_000_000_000)},
		Sinks: []recipe.Sink{
			{Name: "raw", Sink: "sink-file", At: "source"},
			{Name: "far", Sink: "sink-file", At: "bob", Takes: []string{"alice.signal"}},
		},
	}
}

// fullManifest is a manifest with every key set, made the way the master does.
func fullManifest(t *testing.T) *Manifest {
	t.Helper()
	m := NewManifest("000102030405060708090a0b0c0d0e0f", "0.1.0", twoNodes(), noon)
	m.Recipe = RecipeRecord{
		File: "recipe/coincidence.yaml", SHA256: strings.Repeat("ab", 32), Resolved: "recipe/resolved.json",
		Files:     []RecipeFile{{Path: "recipes/coincidence.yaml", File: "recipe/coincidence.yaml", SHA256: strings.Repeat("ab", 32)}},
		Overrides: []string{"acquire.duration=5 s"},
		Git:       Git{Commit: strings.Repeat("c0", 20), Path: "recipes/coincidence.yaml"},
	}
	m.Trigger.InstantNs = 1_772_366_400_500_000_000
	for i, name := range []string{"alice", "bob"} {
		n := m.Nodes[name]
		n.Hostname, n.PID, n.Version = "bench", 100+i, "0.1.0"
		c := n.Controllers["tc"]
		c.Version, c.SHA256, c.PID = "0.1.0", strings.Repeat("cd", 32), 200+i
		c.Device = Device{Vendor: "ID Quantique", Model: "ID1000", Serial: fmt.Sprint("S", i), Firmware: "2.1",
			Identity: "ID Quantique,ID1000,S,2.1", ResolutionPs: 1, Simulated: true}
		c.Report = json.RawMessage(`{"records":5}`)
		compensation := int64(i) * 250_000
		called := m.Trigger.InstantNs - compensation
		c.Shot = &Shot{Asked: called, Called: called + 900, Returned: called + 400_000}
		start, _ := NodeStart([]Shot{*c.Shot}, m.Trigger.InstantNs, compensation)
		n.Start = &start
		s := n.Sinks["raw"]
		s.Version, s.SHA256, s.PID = "0.1.0", strings.Repeat("ef", 32), 300+i
	}
	m.Trigger.Skew = m.Skews()
	const length = 5_000_000_000_000
	m.Nodes["alice"].Channels["signal"].Count(100_123, 4_321, length-99, length, 0)
	m.Nodes["alice"].Channels["herald"].Count(99, 4_400, length-1, length, 0)
	m.Nodes["bob"].Channels["idler"].Count(64_007, 404_321, length-7, length, 12)
	m.Nodes["bob"].Channels["idler"].Lose(Loss{AtPs: 77, Tags: 12, Why: "the device dropped tags"})
	for _, node := range nodeOrder(m) {
		for _, name := range byStream(m.Nodes[node].Channels) {
			c := m.Nodes[node].Channels[name]
			m.Segments = append(m.Segments, Segment{
				Node: node, Channel: name, Sink: "raw", File: "raw/" + node + "/" + name + "-000000.bin", Size: int64(c.Tags) * 8,
				SHA256: strings.Repeat("12", 32), Tags: c.Tags, FirstPs: c.FirstPs, LastPs: c.LastPs, Lost: c.Lost, Verified: true,
			})
		}
	}
	m.Results = fullResults(t)
	m.Ended = noon.Add(8_210 * time.Millisecond)
	m.Judge()
	return m
}

func fullResults(t *testing.T) []Result {
	return []Result{
		{Stage: "align", Kind: "align", Files: []string{"results/align.json"}, Summary: summaryOf(t, AlignSummary{
			Reference: "alice.signal", Target: "bob.idler", OffsetPs: 400_030, OffsetSDPs: 2.4,
			ReferencePs: 2_500_000_000_000, Frequency1e15: 12_000_400, FrequencyPpb: 12.0004, FrequencySDPpb: 0.0123, Simulated: true,
			Alignment: &align.Alignment{Warning: "the clocks do not keep to a straight line"}})},
		{Stage: "pairs", Kind: "coincidences", Files: []string{"results/pairs.csv"}, Summary: summaryOf(t, CoincidencesSummary{
			Of: []string{"alice.signal", "bob.idler"}, Corrected: true,
			Coincidences: correlate.Coincidences{Window: 1000, Fold: correlate.Fold{
				Of: "AB", All: 59_800, OneToOne: 59_790, Accidentals: 12.5, AccidentalsSD: 1.25,
				Heralding: []correlate.Efficiency{{Of: "B", By: "A", Value: 0.598, SD: 0.0016}}}}})},
		{Stage: "g2", Kind: "histogram", Files: []string{"results/g2.csv"}, Summary: summaryOf(t, HistogramSummary{
			Start: "alice.signal", Stop: "bob.idler", Corrected: true, RangePs: 20_000, BinPs: 50,
			Pairs: 60_000, PeakPs: new(int64(-25)), PeakCounts: 13_000})},
		{Stage: "dark", Kind: "histogram", Files: []string{"results/dark.csv"}, Summary: summaryOf(t, HistogramSummary{
			Start: "alice.signal", Stop: "bob.idler", RangePs: 20_000, BinPs: 50, NoValue: "nothing was recorded by bob.idler"})},
		{Stage: "far apart", Kind: "histogram", Files: []string{}, Summary: summaryOf(t, HistogramSummary{
			Start: "alice.signal", Stop: "bob.idler", RangePs: 20_000, BinPs: 50})},
		{Stage: "late", Kind: "align", Files: []string{"results/late.json"}, Summary: summaryOf(t, AlignSummary{
			Reference: "alice.herald", Target: "bob.idler", Refused: true, Reason: "no peak stands out", Hint: "search a wider range"})},
		{Stage: "triples", Kind: "coincidences", Files: []string{"results/triples.csv"}, Summary: summaryOf(t, CoincidencesSummary{
			Of: []string{"alice.signal", "alice.herald", "bob.idler"},
			Coincidences: correlate.Coincidences{Window: 1000, Fold: correlate.Fold{
				Of: "ABC", All: 57, OneToOne: 57, Accidentals: 50.2, AccidentalsSD: 2.5,
				Heralding: []correlate.Efficiency{{Of: "C", By: "AB", Value: 0.0012, SD: 0.0011}}}}})},
		{Stage: "scan", Kind: "scan", Files: []string{"results/scan.csv"}, Summary: summaryOf(t, ScanSummary{
			Start: "alice.signal", Stop: "alice.herald", WindowPs: 800,
			Peak: &correlate.Peak{Offset: quantity.NewFine(24_000, 0.31), OffsetSD: 0.52, Sigma: 212.2, SigmaSD: 0.4, Pairs: 59_700, PairsSD: 245, Accidentals: 3.2}})},
		{Stage: "nothing", Kind: "scan", Files: []string{}, Summary: summaryOf(t, ScanSummary{Start: "alice.signal", Stop: "bob.idler", Corrected: true})},
		{Stage: "dip", Kind: "g2", Files: []string{"results/dip.csv"}, Summary: summaryOf(t, G2Summary{
			Start: "alice.signal", Stop: "alice.herald", BinPs: 100, AtZero: 0.031, AtZeroSD: 0.018, HighestPs: new(int64(20_050)), Highest: 1.2, HighestSD: 0.1,
			Pulses: []correlate.Pulse{{Number: -1, Counts: 480, G2: 0.99, SD: 0.045}, {Counts: 2, G2: 0.004, SD: 0.003}, {Number: 1, Counts: 490, G2: 1.01, SD: 0.045}}})},
		{Stage: "unplugged", Kind: "g2", Files: []string{"results/unplugged.csv"}, Summary: summaryOf(t, G2Summary{
			Start: "alice.signal", Stop: "bob.idler", BinPs: 100, AtZero: quantity.None(), AtZeroSD: quantity.None(), Highest: quantity.None(), HighestSD: quantity.None(),
			NoValue: "nothing was recorded by bob.idler", Pulses: []correlate.Pulse{{G2: quantity.None(), SD: quantity.None()}, {Number: 1, G2: quantity.None(), SD: quantity.None()}}})},
		{Stage: "itself", Kind: "g2", Files: []string{"results/itself.csv"}, Summary: summaryOf(t, G2Summary{
			Start: "alice.signal", Stop: "alice.signal", BinPs: 100, AtZero: 1.02, AtZeroSD: 0.1, HighestPs: new(int64(50)), Highest: 1.02, HighestSD: 0.1, SelfPairs: 100_000})},
		{Stage: "rates", Kind: "rates", Files: []string{"results/rates.csv"}, Summary: summaryOf(t, RatesSummary{
			Of: []string{"alice.signal", "bob.idler"}, BinPs: second, Empty: []int{0, 1}, Channels: []correlate.ChannelRate{
				{Tags: 120_000, Rate: 24_000}, {Tags: 90_000, Rate: 18_000.5, Gaps: []correlate.Gap{{From: second, To: 3 * second}}}}})},
		{Stage: "never", Kind: "histogram", Files: []string{}, Skipped: "alice.herald has no tags"},
	}
}

func TestManifestGolden(t *testing.T) {
	text, err := manifestText(fullManifest(t))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "manifest.json", string(text))
	var back Manifest
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	again, err := manifestText(&back)
	if err != nil || string(again) != string(text) {
		t.Errorf("a manifest that was read back differs (%v):\n%s", err, cmp.Diff(string(text), string(again)))
	}
}

func TestReportGolden(t *testing.T) {
	good := fullManifest(t)
	good.Nodes["bob"].Channels["idler"].Lost = 0
	good.Judge()

	remote := fullManifest(t)
	remote.Nodes["bob"].Host = "remote"
	remote.Notice(Reason{Condition: Interrupted, Message: "stopped by the user"})
	for i := range 20 {
		remote.Notice(Reason{Condition: Tainted, Node: "bob", Channel: "idler", Message: fmt.Sprint("reason ", i)})
	}
	remote.Judge()

	hardware := fullManifest(t)
	hardware.Trigger.Method, hardware.Trigger.Skew, hardware.Results = "hardware", nil, nil
	hardware.Nodes["bob"].Controllers["tc"].Device = Device{Model: "evil\x1b[31m\nmodel"}

	single := NewManifest("00", "0.1.0", &recipe.Recipe{Name: "single", Nodes: []recipe.Node{{Name: "alice", Host: "local"}},
		Clock: recipe.Clock{Source: "none"}, Trigger: recipe.Trigger{Method: "scheduled", Master: "alice"}}, noon)
	single.Judge()

	for name, m := range map[string]*Manifest{"good": good, "remote": remote, "hardware": hardware, "single": single} {
		var out bytes.Buffer
		if err := Report(&out, m, "runs/20260301T120000Z-coincidence", ReportWidth); err != nil {
			t.Fatal(err)
		}
		golden(t, "report-"+name+".txt", out.String())
	}
}

func TestFormats(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{grouped(0), "0"}, {grouped(999), "999"}, {grouped(-1000), "-1 000"}, {grouped(math.MinInt64), "-9 223 372 036 854 775 808"},
		{Hertz(0), "0.000 Hz"}, {Hertz(333), "0.333 Hz"}, {Hertz(999_999), "1000.0 Hz"}, {Hertz(20_024_600), "20.02 kHz"},
		{Hertz(123_456_789_000), "123.5 MHz"}, {Hertz(math.MaxInt64), "9223372 GHz"},
		{picoseconds(-50), "-50 ps"}, {picoseconds(99_999), "99 999 ps"}, {picoseconds(1_000_000), "1 000 ns"},
		{picoseconds(-400_030), "-400.03 ns"}, {picoseconds(math.MinInt64), "-9 223 372 036 854 775.808 ns"},
		{bounded(12, 9_999), "12 ± 9 999 ns"}, {bounded(36_905, 680_953), "37 ± 681 us"}, {bounded(499, 10_001), "0 ± 11 us"},
		{seconds(5_000_000_000_000), "5.000 s"}, {seconds(1_234_567_890_123), "1.234 s"},
		{fmt.Sprint(rounded(2.5), rounded(math.Inf(1)), rounded(math.NaN()), rounded(-1e300)), fmt.Sprint(3, int64(math.MaxInt64), 0, int64(math.MinInt64))},
		{Printable("a\x1b[2Jb\nc°µ"), "a\uFFFD[2Jb\uFFFDc°µ"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}
