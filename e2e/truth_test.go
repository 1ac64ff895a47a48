package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"tsrun/pipeline/run"
	"tsrun/sdk/quantity"
	"tsrun/sim/idq"
	"tsrun/sim/sky"
)

// startDifference is how much later b truly began than a, in ps.
func startDifference(a, b idq.Truth) int64 {
	return (b.StartUnixNs-a.StartUnixNs)*1000 + b.StartPs - a.StartPs
}

// channelTruth finds the truth of one input.
func channelTruth(t *testing.T, truth idq.Truth, input int) idq.ChannelTruth {
	t.Helper()
	i := slices.IndexFunc(truth.Channels, func(c idq.ChannelTruth) bool { return c.Input == input })
	if i < 0 {
		t.Fatalf("no truth of input %d", input)
	}
	return truth.Channels[i]
}

// twoClocks knows what B minus A truly is, from the simulators of both. One is
// not for concurrent use.
type twoClocks struct {
	a, b           sky.Clock
	delayA, delayB int64 // ps
	late           int64 // ps by which B began after A
}

func newTwoClocks(t *testing.T, a, b idq.Truth, inputA, inputB int) twoClocks {
	t.Helper()
	return twoClocks{a.Clock(), b.Clock(), channelTruth(t, a, inputA).DelayPs, channelTruth(t, b, inputB).DelayPs, startDifference(a, b)}
}

// offset is B minus A for a photon that A stamps at, in ps.
func (c twoClocks) offset(at int64) quantity.Fine {
	since := c.a.TrueTime(at - c.delayA) // of A's start
	difference := c.b.Reading(since - c.late).Minus(c.a.Reading(since))
	return quantity.NewFine(c.delayB-c.delayA, difference)
}

// checkTags compares every file of a node's channel with what its simulator
// delivered: as many tags, and the same ones.
func checkTags(t *testing.T, dir string, m *run.Manifest, node, channel string) {
	t.Helper()
	c := m.Nodes[node].Channels[channel]
	want := channelTruth(t, truth(t, m, node), c.Input)
	if c.Tags != want.Tags || want.Tags == 0 {
		t.Errorf("%s.%s has %d tags, its simulator delivered %d", node, channel, c.Tags, want.Tags)
	}
	segments := slices.DeleteFunc(slices.Clone(m.Segments), func(s run.Segment) bool { return s.Node != node || s.Channel != channel })
	slices.SortFunc(segments, func(a, b run.Segment) int { return a.Index - b.Index })
	hash := sha256.New()
	for i, s := range segments {
		if s.Index != i {
			t.Errorf("%s.%s: segment %d where %d is due", node, channel, s.Index, i)
		}
		f, err := os.Open(filepath.Join(dir, s.File))
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(hash, f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != want.SHA256 {
		t.Errorf("%s.%s: the tags in the files are not the simulator's", node, channel)
	}
}

// checkSkew compares the start skew in the manifest with the simulators' own.
func checkSkew(t *testing.T, m *run.Manifest) {
	t.Helper()
	if len(m.Trigger.Skew) != 1 {
		t.Fatalf("%d skews in the manifest, want bob's", len(m.Trigger.Skew))
	}
	skew := m.Trigger.Skew[0]
	want := float64(startDifference(truth(t, m, skew.Against), truth(t, m, skew.Node))) / 1000
	if math.Abs(float64(skew.SkewNs)-want) > float64(skew.UncertaintyNs) {
		t.Errorf("start skew %d ns ± %d ns, truly %.3f ns", skew.SkewNs, skew.UncertaintyNs, want)
	}
	t.Logf("start skew %d ns ± %d ns, truly %.0f ns", skew.SkewNs, skew.UncertaintyNs, want)
}

// alignment is the part of align.json that tests read.
type alignment struct {
	OffsetPs    int64   `json:"offset_ps"`
	OffsetSdPs  float64 `json:"offset_sd_ps"`
	ReferencePs int64   `json:"reference_ps"`
	Refused     bool    `json:"refused"`
}

// checkOffset compares the offset that align found with the simulators' own.
func checkOffset(t *testing.T, dir string, m *run.Manifest) {
	t.Helper()
	var found alignment
	text, err := os.ReadFile(filepath.Join(dir, "results", "align.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &found); err != nil {
		t.Fatal(err)
	}
	want := newTwoClocks(t, truth(t, m, "alice"), truth(t, m, "bob"), 1, 1).offset(found.ReferencePs).Float()
	miss := float64(found.OffsetPs) - want
	t.Logf("offset %d ps ± %.2f ps, truly %.1f ps: off by %.2f ps", found.OffsetPs, found.OffsetSdPs, want, miss)
	if found.Refused || math.Abs(miss) > 100 {
		t.Errorf("offset %d ps (refused: %v), truly %.1f ps", found.OffsetPs, found.Refused, want)
	}
}
