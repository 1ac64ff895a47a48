package pyreader

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tsrun/internal/need"
	"tsrun/sdk/tagfile"
	"tsrun/sdk/tagfile/pack"
)

// read is what the script says of one path.
type read struct {
	Run       string              `json:"run"`
	Condition []string            `json:"condition"`
	Simulated bool                `json:"simulated"`
	Ended     bool                `json:"ended"`
	Channels  map[string][]string `json:"channels"`
	Error     string              `json:"error"`
}

// python runs a script of testdata beside python/tsrun.py.
func python(t *testing.T, script string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(need.Python(t, "numpy", "python3-numpy"), append([]string{"-B", "-W", "error", "testdata/" + script}, args...)...)
	cmd.Env = append(os.Environ(), "PYTHONPATH=../../python")
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, problems.String())
	}
	return out
}

func readAll(t *testing.T, paths ...string) (found []read) {
	t.Helper()
	lines := bufio.NewScanner(bytes.NewReader(python(t, "read.py", paths...)))
	lines.Buffer(nil, 1<<26)
	for lines.Scan() {
		var r read
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		found = append(found, r)
	}
	if len(found) != len(paths) {
		t.Fatalf("%d answers about %d files", len(found), len(paths))
	}
	return found
}

func texts(tags []uint64) []string {
	list := make([]string, len(tags))
	for i, t := range tags {
		list[i] = strconv.FormatUint(t, 10)
	}
	return list
}

// steps are n tags with gaps of a mean length, in ticks, after a first one.
func steps(n int, first, tick uint64, mean float64) []uint64 {
	random := rand.New(rand.NewPCG(uint64(n), tick))
	tags := make([]uint64, n)
	for i := range tags {
		tags[i] = first
		first += uint64(random.ExpFloat64()*mean) * tick
	}
	return tags
}

// shapes are tags that try each code of a block.
func shapes() map[string][]uint64 {
	wide := make([]uint64, 0, 64*129)
	for width := range 57 { // a run of each width
		for i := range uint64(128) {
			last := uint64(0)
			if len(wide) > 0 {
				last = wide[len(wide)-1]
			}
			wide = append(wide, last+(1<<width>>1)+i%2)
		}
	}
	return map[string][]uint64{
		"none": {}, "zero": {0}, "last": {0, 1<<63 - 1, 1 << 63, math.MaxUint64}, "equal": make([]uint64, 300),
		"wide": wide, "many": steps(2*pack.MaxTags+5, 1<<53, 1, 1e7), "rice": steps(1000, 1<<63, 2000, 5e3), "steep": steps(131, 7, 1<<30, 1e3),
	}
}

func TestFilesOfKnownContent(t *testing.T) {
	dir := t.TempDir()
	var paths []string
	var want []read
	for name, tags := range shapes() {
		for _, format := range []string{tagfile.Bin, tagfile.Tags, tagfile.NPZ} {
			path := filepath.Join(dir, name+"."+format)
			if err := tagfile.WriteFile(path, format, -3, tags); err != nil {
				t.Fatal(err)
			}
			channels := map[string][]string{"None": texts(tags)}
			if format == tagfile.NPZ && len(tags) == 0 { // it says that there is a channel
				channels = map[string][]string{"1": {}}
			} else if format != tagfile.Bin {
				channels = map[string][]string{}
				if len(tags) > 0 {
					channels["-3"] = texts(tags)
				}
			}
			paths, want = append(paths, path), append(want, read{Channels: channels})
		}
	}
	for i, got := range readAll(t, paths...) {
		if diff := cmp.Diff(want[i], got); diff != "" {
			t.Errorf("%s: %.2000s", paths[i], diff)
		}
	}
}

func TestDamagedFilesAreRefused(t *testing.T) {
	dir := t.TempDir()
	whole := filepath.Join(dir, "whole.tags")
	if err := tagfile.WriteFile(whole, "", 1, steps(1000, 5, 1, 1e6)); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	var paths, want []string
	add := func(name, why string, text []byte) {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
		paths, want = append(paths, path), append(want, why)
	}
	for _, at := range []int{0, 9, 13, 17, 25, 38, 60, 100, len(text) - 100, len(text) - 62, len(text) - 40, len(text) - 20, len(text) - 10, len(text) - 1} {
		flipped := bytes.Clone(text)
		flipped[at] ^= 0x10
		add(fmt.Sprintf("flipped-%d.tags", at), "Damaged: ", flipped)
	}
	for _, n := range []int{0, 7, 15, 16, 30, 100, len(text) - 1} {
		add(fmt.Sprintf("cut-%d.tags", n), "Damaged: ", text[:n])
	}
	add("longer.tags", "Damaged: ", append(bytes.Clone(text), 0))
	add("cut.bin", "it ends within a tag, 3 bytes", make([]byte, 19))
	add("back.bin", "its tags go back in time", []byte{7: 0, 8: 9, 16: 8, 23: 0})
	for i, got := range readAll(t, paths...) {
		if !strings.Contains(got.Error, want[i]) {
			t.Errorf("%s: %d channels, %q, want %q", paths[i], len(got.Channels), got.Error, want[i])
		}
	}
}
