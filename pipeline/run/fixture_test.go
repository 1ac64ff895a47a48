package run

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"tsrun/pipeline/recipe"
)

// writeRun makes a sealed run directory of alice.signal and bob.idler with two
// segments each, and returns its path.
func writeRun(t *testing.T) string {
	t.Helper()
	d := newDirectory(t)
	m := &Manifest{Name: "pairs", Started: noon, Ended: noon.Add(1), Nodes: map[string]*Node{}}
	writeChannel(t, d, m, "alice", "signal", [][]uint64{{1000, 2000, 2000, 3000}, {1_000_000, 2_000_000}})
	writeChannel(t, d, m, "bob", "idler", [][]uint64{{1400, 2400, 3400}, {}})
	record, err := d.KeepRecipe([]RecipeSource{{Path: "pairs.yaml", Bytes: []byte("version: 1\n")}}, &recipe.Recipe{Name: "pairs"}, []byte("version: 1\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	m.Recipe = record
	if err := os.WriteFile(filepath.Join(d.Path(), "results", "g2.csv"), []byte("delay_ps,counts\n0,4\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	m.Results = []Result{{Stage: "g2", Kind: "histogram", Files: []string{"results/g2.csv"}}}
	if err := d.Seal(m); err != nil {
		t.Fatal(err)
	}
	if !m.Has(Good) {
		t.Fatalf("fixture is %v: %+v", m.Condition, m.Reasons)
	}
	return d.Path()
}

// writeChannel writes segments of a channel as a sink would and enters them.
func writeChannel(t *testing.T, d *Directory, m *Manifest, node, channel string, segments [][]uint64) {
	t.Helper()
	dir, err := d.Raw(node)
	if err != nil {
		t.Fatal(err)
	}
	c := &Channel{}
	if m.Nodes[node] == nil {
		m.Nodes[node] = &Node{Sinks: map[string]*Sink{"raw": {Sink: "sink-file"}}, Channels: map[string]*Channel{}}
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
		s := Segment{
			Node: node, Channel: channel, Sink: "raw", Index: i, File: "raw/" + node + "/" + name,
			Size: int64(len(raw)), SHA256: hex.EncodeToString(sum[:]), Tags: uint64(len(tags)), Verified: true,
		}
		if len(tags) > 0 {
			s.FirstPs, s.LastPs = tags[0], tags[len(tags)-1]
		}
		m.Segments = append(m.Segments, s)
		all = append(all, tags...)
	}
	if len(all) > 0 {
		c.Count(uint64(len(all)), all[0], all[len(all)-1], 1_000_000_000_000, 0)
	}
}

// flipByte changes one bit pattern of a file: every bit of one byte.
func flipByte(t *testing.T, path string, at int64) {
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

var errFull = errors.New("no space left")

// fullDisk takes nothing.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errFull }

// manifestText is what stands in manifest.json.
func manifestText(m *Manifest) ([]byte, error) {
	var text bytes.Buffer
	err := writeManifest(&text, m)
	return text.Bytes(), err
}
