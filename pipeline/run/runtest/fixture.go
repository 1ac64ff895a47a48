// Package runtest makes runs for tests of what reads them.
package runtest

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tsrun/pipeline/fact"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/sdk/quantity"
)

// WriteRun makes a sealed run directory of alice.signal and bob.idler with two
// segments each, and returns its path.
func WriteRun(t *testing.T) string {
	t.Helper()
	d := NewDirectory(t)
	m := &run.Manifest{Name: "pairs", Started: Noon, Ended: Noon.Add(1), Nodes: map[string]*run.Node{}}
	WriteChannel(t, d, m, "alice", "signal", [][]uint64{{1000, 2000, 2000, 3000}, {1_000_000, 2_000_000}})
	WriteChannel(t, d, m, "bob", "idler", [][]uint64{{1400, 2400, 3400}, {}})
	record, err := d.KeepRecipe([]run.RecipeSource{{Path: "pairs.yaml", Bytes: []byte("version: 1\n")}}, &recipe.Recipe{Name: "pairs"}, []byte("version: 1\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	m.Recipe = record
	if err := os.WriteFile(filepath.Join(d.Path(), "results", "g2.csv"), []byte("delay_ps,counts\n0,4\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	m.Results = []run.Result{{Stage: "g2", Kind: "histogram", Files: []string{"results/g2.csv"}}}
	if err := d.Seal(m); err != nil {
		t.Fatal(err)
	}
	if !m.Has(run.Good) {
		t.Fatalf("fixture is %v: %+v", m.Condition, m.Reasons)
	}
	return d.Path()
}

// WriteChannel writes segments of a channel as a sink would and enters them.
func WriteChannel(t testing.TB, d *run.Directory, m *run.Manifest, node, channel string, segments [][]uint64) {
	t.Helper()
	dir, err := d.Raw(node)
	if err != nil {
		t.Fatal(err)
	}
	c := &run.Channel{}
	if m.Nodes[node] == nil {
		m.Nodes[node] = &run.Node{Sinks: map[string]*run.Sink{"raw": {Sink: "sink-file"}}, Channels: map[string]*run.Channel{}}
	}
	n := m.Nodes[node]
	n.Channels[channel] = c
	n.Sinks["raw"].Channels = append(n.Sinks["raw"].Channels, channel)
	var all []uint64
	for i, tags := range segments {
		var raw []byte
		for _, v := range tags {
			raw = binary.LittleEndian.AppendUint64(raw, v)
		}
		name := fmt.Sprintf("%s-%06d.bin", channel, i)
		if err := os.WriteFile(filepath.Join(dir, name), raw, 0o644); err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(raw)
		s := run.Segment{
			Node: node, Channel: channel, Verified: true,
			Segment: fact.Segment{Sink: "raw", Index: i, File: "raw/" + node + "/" + name, Size: int64(len(raw)), SHA256: hex.EncodeToString(sum[:]), Tags: uint64(len(tags))},
		}
		if len(tags) > 0 {
			s.FirstPs, s.LastPs = tags[0], tags[len(tags)-1]
		}
		m.Segments = append(m.Segments, s)
		all = append(all, tags...)
	}
	if len(all) > 0 {
		c.Count(fact.Counts{Tags: uint64(len(all)), First: all[0], Last: all[len(all)-1], Until: 1_000_000_000_000})
	}
}

// FlipByte changes one bit pattern of a file: every bit of one byte.
func FlipByte(t *testing.T, path string, at int64) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	raw[at] ^= 0xff
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		t.Fatal(err)
	}
}

var ErrFull = errors.New("no space left")

// FullDisk takes nothing.
type FullDisk struct{}

func (FullDisk) Write([]byte) (int, error) { return 0, ErrFull }

var Noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func NewDirectory(t testing.TB) *run.Directory {
	t.Helper()
	d, err := run.Create(t.TempDir(), "coincidence", Noon)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// goodManifest is a finished run of one real controller with one channel of
// two segments.
func GoodManifest() *run.Manifest {
	return &run.Manifest{
		Ended: time.Date(2026, 3, 1, 12, 0, 9, 0, time.UTC),
		Nodes: map[string]*run.Node{"alice": {
			Controllers: map[string]*run.Controller{"tc": {Driver: "tc-ethernet"}},
			Sinks:       map[string]*run.Sink{"raw": {Sink: "sink-file", Channels: []string{"signal"}}},
			Channels:    map[string]*run.Channel{"signal": {Controller: "tc", Tags: 5, LengthPs: 1_000_000_000_000, Rate: new(run.Rate(5000))}},
		}},
		Segments: []run.Segment{
			{Node: "alice", Channel: "signal", Segment: fact.Segment{Sink: "raw", Index: 0, File: "raw/alice/signal-000000.bin", Tags: 3}, Verified: true},
			{Node: "alice", Channel: "signal", Segment: fact.Segment{Sink: "raw", Index: 1, File: "raw/alice/signal-000001.bin", Tags: 2}, Verified: true},
		},
	}
}

// mustVerify verifies a run directory that can be read.
func MustVerify(t *testing.T, dir string) run.Verification {
	t.Helper()
	v, err := run.Verify(dir)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// twoNodes is a recipe of alice with two channels and bob with one.
func TwoNodes() *recipe.Recipe {
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

// fullManifest is a manifest with every key set but its results, made the way the master does.
func FullManifest(t *testing.T) *run.Manifest {
	t.Helper()
	m := run.NewManifest("000102030405060708090a0b0c0d0e0f", "0.1.0", TwoNodes(), Noon)
	m.Recipe = run.RecipeRecord{
		File: "recipe/coincidence.yaml", SHA256: strings.Repeat("ab", 32), Resolved: "recipe/resolved.json",
		Files:     []run.RecipeFile{{Path: "recipes/coincidence.yaml", File: "recipe/coincidence.yaml", SHA256: strings.Repeat("ab", 32)}},
		Overrides: []string{"acquire.duration=5 s"},
		Git:       run.Git{Commit: strings.Repeat("c0", 20), Path: "recipes/coincidence.yaml"},
	}
	m.Trigger.InstantNs = 1_772_366_400_500_000_000
	for i, name := range []string{"alice", "bob"} {
		n := m.Nodes[name]
		n.Hostname, n.PID, n.Version = "bench", 100+i, "0.1.0"
		n.Joined, n.Armed = Noon.Add(time.Duration(-2+i)*time.Second), Noon.Add(time.Duration(i)*100*time.Millisecond)
		c := n.Controllers["tc"]
		c.Version, c.SHA256, c.PID = "0.1.0", strings.Repeat("cd", 32), 200+i
		c.Device = fact.Device{Vendor: "ID Quantique", Model: "ID1000", Serial: fmt.Sprint("S", i), Firmware: "2.1",
			Identity: "ID Quantique,ID1000,S,2.1", ResolutionPs: 1, Simulated: true}
		c.Report = json.RawMessage(`{"records":5}`)
		compensation := int64(i) * 250_000
		called := m.Trigger.InstantNs - compensation
		c.Shot = &fact.Shot{Asked: called, Called: called + 900, Returned: called + 400_000}
		start, _ := run.NodeStart([]fact.Shot{*c.Shot}, m.Trigger.InstantNs, compensation, nil)
		n.Start = &start
		s := n.Sinks["raw"]
		s.Version, s.SHA256, s.PID = "0.1.0", strings.Repeat("ef", 32), 300+i
	}
	m.Trigger.Skew = m.Skews()
	const length = 5_000_000_000_000
	m.Nodes["alice"].Channels["signal"].Count(fact.Counts{Tags: 100_123, First: 4_321, Last: length - 99, Until: length})
	m.Nodes["alice"].Channels["herald"].Count(fact.Counts{Tags: 99, First: 4_400, Last: length - 1, Until: length})
	m.Nodes["bob"].Channels["idler"].Count(fact.Counts{Tags: 64_007, Lost: 12, First: 404_321, Last: length - 7, Until: length})
	m.Nodes["bob"].Channels["idler"].Lose(fact.Loss{AtPs: 77, Tags: 12, Why: "the device dropped tags"})
	for _, node := range m.NodeOrder() {
		for _, name := range run.ByStream(m.Nodes[node].Channels) {
			c := m.Nodes[node].Channels[name]
			m.Segments = append(m.Segments, run.Segment{
				Node: node, Channel: name, Verified: true, ProvenAt: Noon.Add(6 * time.Second),
				Segment: fact.Segment{Sink: "raw", File: "raw/" + node + "/" + name + "-000000.bin", Size: int64(c.Tags) * 8,
					SHA256: strings.Repeat("12", 32), Tags: c.Tags, FirstPs: c.FirstPs, LastPs: c.LastPs, Lost: c.Lost},
			})
		}
	}
	m.Ended = Noon.Add(8_210 * time.Millisecond)
	m.Judge()
	return m
}

// manifestText is what stands in manifest.json.
func ManifestText(t *testing.T, m *run.Manifest) []byte {
	t.Helper()
	d := NewDirectory(t)
	if err := d.WriteManifest(m); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(d.Path(), run.ManifestFile))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Stage is a stage of a recipe with the config of its kind.
func Stage(name, kind string, config recipe.StageConfig) recipe.Stage {
	text, err := json.Marshal(config)
	if err != nil {
		panic(err) // configs hold texts and numbers
	}
	return recipe.Stage{Name: name, Kind: kind, Config: text}
}
