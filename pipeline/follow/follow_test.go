package follow

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tsrun/pipeline/fact"
	"tsrun/pipeline/journal"
	"tsrun/pipeline/run"
	"tsrun/pipeline/run/runtest"
	"tsrun/pipeline/wire"
	"tsrun/sdk/tagfile"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// followRun runs the command and returns what it prints and its error.
func followRun(t *testing.T, args ...string) (string, error) {
	t.Helper()
	o, err := Parse(args)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	err = Run(t.Context(), o, &out)
	return out.String(), err
}

func TestOfARunThatIsOver(t *testing.T) {
	dir := runtest.WriteRun(t)
	copied := filepath.Join(t.TempDir(), "copy")
	out, err := followRun(t, dir, "--out", copied)
	if err != nil || strings.Count(out, "\n") != 6 || !strings.Contains(out, `{"channel":"alice.signal","sink":"raw","tags":6,"segments":2,"ended":true}`) {
		t.Errorf("%v\n%s", err, out)
	}
	for _, name := range []string{"alice/signal-000000.bin", "alice/signal-000001.bin", "bob/idler-000000.bin", "bob/idler-000001.bin"} {
		was, err := os.ReadFile(filepath.Join(dir, run.RawDir, name))
		again, err2 := os.ReadFile(filepath.Join(copied, name))
		if err != nil || err2 != nil || !bytes.Equal(was, again) {
			t.Errorf("%s: %v, %v, %x, %x", name, err, err2, was, again)
		}
	}
	if _, err := followRun(t, dir, "--out", copied); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("over a copy: %v", err)
	}
	for _, try := range []struct{ args, out, err string }{
		{"--node bob --tags", "bob.idler;1400\nbob.idler;2400\nbob.idler;3400\n{", ""},
		{"--channel idler --count", `{"channel":"bob.idler","sink":"raw","tags":3,"segments":2,"ended":true}` + "\n", ""},
		{"--sink raw --count --channel signal", `{"channel":"alice.signal"`, ""},
		{"--node eve", "", "--node eve: the run has none of that name; it has alice, bob"},
		{"--channel signal,none", "", "--channel none"},
		{"--sink far", "", "--sink far"},
		{"--node bob --channel signal", "", "nothing has come of node bob"},
	} {
		out, err := followRun(t, append([]string{dir}, strings.Fields(try.args)...)...)
		if !strings.HasPrefix(out, try.out) || (try.err == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), try.err) {
			t.Errorf("%s: %v\n%s", try.args, err, out)
		}
	}
}

func TestWhatIsNotAsItWas(t *testing.T) {
	for name, try := range map[string]struct {
		harm func(t *testing.T, dir string)
		says string
	}{
		"no run":  {func(t *testing.T, dir string) { remove(t, filepath.Join(dir, run.ManifestFile)) }, "is no run directory"},
		"changed": {func(t *testing.T, dir string) { runtest.FlipByte(t, filepath.Join(dir, "raw/bob/idler-000000.bin"), 3) }, "is not the file that the run has proven"},
		"longer": {func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "raw/bob/idler-000001.bin"), make([]byte, 8))
		}, "is not the file that the run has proven"},
		"gone":      {func(t *testing.T, dir string) { remove(t, filepath.Join(dir, "raw/bob/idler-000000.bin")) }, "idler-000000.bin was proven, and is not here any more"},
		"a link":    {func(t *testing.T, dir string) { elsewhere(t, filepath.Join(dir, "raw/bob/idler-000000.bin")) }, "idler-000000.bin"},
		"unproven":  {change(func(m *run.Manifest) { m.Segments[0].Verified = false }), "signal-000000.bin was recorded and never proven here"},
		"outside":   {change(func(m *run.Manifest) { m.Segments[0].File = "raw/alice/../../../x" }), "is elsewhere"},
		"no node":   {change(func(m *run.Manifest) { m.Segments = m.Segments[:2] }), "no file of bob.idler arrived"},
		"aborted":   {change(func(m *run.Manifest) { m.Notice(run.Reason{Condition: run.Aborted, Message: "it was given up"}) }), "the run was aborted: it was given up"},
		"not ended": {change(func(m *run.Manifest) { m.Ended = time.Time{} }), "nothing has come of the run"},
	} {
		dir := runtest.WriteRun(t)
		try.harm(t, dir)
		copied := filepath.Join(t.TempDir(), "copy")
		out, err := followRun(t, dir, "--wait", "300ms", "--out", copied)
		if err == nil || !strings.Contains(err.Error(), try.says) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		if left, _ := filepath.Glob(filepath.Join(copied, "*", ".*")); left != nil {
			t.Errorf("%s: half a file is left: %v", name, left)
		}
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
}

// elsewhere makes a file a link to one outside the run.
func elsewhere(t *testing.T, path string) {
	t.Helper()
	moved := filepath.Join(t.TempDir(), "moved")
	if err := os.Rename(path, moved); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(moved, path); err != nil {
		t.Fatal(err)
	}
}

// change writes the manifest of a run anew.
func change(what func(*run.Manifest)) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		m, err := run.ReadManifest(dir)
		if err != nil {
			t.Fatal(err)
		}
		what(m)
		m.Judge()
		text, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, run.ManifestFile), text)
	}
}

// going is a run that goes on, as its master writes it.
type going struct {
	t       *testing.T
	dir     *run.Directory
	m       *run.Manifest
	journal *journal.Journal
	seq     uint64
}

func newGoing(t *testing.T) *going {
	g := &going{t: t, dir: runtest.NewDirectory(t), m: run.NewManifest(strings.Repeat("0f", 16), "dev", runtest.TwoNodes(), runtest.Noon)}
	var err error
	if g.journal, err = g.dir.NewJournal(); err != nil {
		t.Fatal(err)
	}
	return g
}

func (g *going) save() {
	g.t.Helper()
	if err := g.dir.WriteManifest(g.m); err != nil {
		g.t.Fatal(err)
	}
}

// tell writes news of alice into the journal.
func (g *going) tell(n wire.News) {
	g.seq++
	n.Seq = g.seq
	text, err := json.Marshal(map[string]any{"news": struct {
		Node string
		wire.News
	}{"alice", n}})
	if err != nil {
		g.t.Fatal(err)
	}
	g.journal.Append(text)
}

// segment makes a file of alice.signal under the name that half-received ones have.
func (g *going) segment(index int, tags ...uint64) fact.Segment {
	g.t.Helper()
	dir, err := g.dir.Raw("alice")
	if err != nil {
		g.t.Fatal(err)
	}
	name := fmt.Sprintf("signal-%06d.bin", index)
	if err := tagfile.WriteFile(filepath.Join(dir, name), tagfile.Bin, 0, tags); err != nil {
		g.t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		g.t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, name), filepath.Join(dir, name+".part")); err != nil {
		g.t.Fatal(err)
	}
	sum := sha256.Sum256(text)
	return fact.Segment{Sink: "raw", Index: index, File: "raw/alice/" + name, Size: int64(len(text)), SHA256: hex.EncodeToString(sum[:]), Tags: uint64(len(tags))}
}

// prove gives it its name.
func (g *going) prove(s fact.Segment) {
	g.t.Helper()
	path := filepath.Join(g.dir.Path(), filepath.FromSlash(s.File))
	if err := os.Rename(path+".part", path); err != nil {
		g.t.Fatal(err)
	}
}

// lines is where a command prints to in another goroutine.
type lines chan string

func (l lines) Write(b []byte) (int, error) { l <- string(b); return len(b), nil }

func (l lines) next(t *testing.T) string {
	t.Helper()
	select {
	case text := <-l:
		return text
	case <-time.After(time.Minute):
		t.Fatal("nothing is printed")
		return ""
	}
}

// TestWhileTheRunGoesOn: a segment is printed when a node told of it and its file has its
// name, in the order of the channel, and once; what was never proven is said at the end.
func TestWhileTheRunGoesOn(t *testing.T) {
	g := newGoing(t)
	o, err := Parse([]string{g.dir.Path(), "--node", "alice", "--channel", "signal", "--sink", "raw", "--wait", "1m"})
	if err != nil {
		t.Fatal(err)
	}
	out, ended := make(lines, 100), make(chan error, 1)
	go func() { ended <- Run(context.WithoutCancel(t.Context()), o, out) }() // there is no manifest yet
	time.Sleep(2 * lookEvery)
	g.save()
	up := &wire.ControllerUp{Name: "tc"}
	up.Device.Simulated = true
	g.tell(wire.News{Controller: up})
	first, second, third := g.segment(0, 1, 2), g.segment(1), g.segment(2, 7)
	for _, s := range []fact.Segment{second, first, first} {
		g.tell(wire.News{Segment: &wire.Segment{Segment: s}})
	}
	g.prove(second)
	time.Sleep(3 * lookEvery)
	if len(out) > 0 {
		t.Fatalf("before the first was proven: %s", <-out)
	}
	g.prove(first)
	for i, want := range []string{`"segment":0,"tags":2,"simulated":true`, `"segment":1,"tags":0,"simulated":true`} {
		if text := out.next(t); !strings.Contains(text, want) {
			t.Errorf("line %d: %s", i, text)
		}
	}
	g.tell(wire.News{Segment: &wire.Segment{Segment: third}})
	for i, s := range []fact.Segment{first, second, third} {
		g.m.Segments = append(g.m.Segments, run.Segment{Node: "alice", Channel: "signal", Segment: s, Verified: i < 2})
	}
	g.m.Ended = runtest.Noon.Add(time.Minute)
	g.save()
	if err := g.journal.Close(); err != nil {
		t.Fatal(err)
	}
	if text := out.next(t); !strings.Contains(text, `"tags":2,"segments":2,"ended":true`) || len(out) > 0 {
		t.Errorf("%d more, %s", len(out), text)
	}
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "signal-000002.bin was recorded and never proven here") {
		t.Error(err)
	}
}

func TestJournalsThatLie(t *testing.T) {
	for says, news := range map[string]wire.News{
		"which is elsewhere": {Segment: &wire.Segment{Segment: fact.Segment{Sink: "raw", File: "raw/bob/x.bin"}}},
		"of stream 9":        {Segment: &wire.Segment{Stream: 9, Segment: fact.Segment{Sink: "raw", File: "raw/alice/x.bin"}}},
	} {
		g := newGoing(t)
		g.save()
		g.tell(news)
		if !g.journal.Await(g.journal.Last(), time.Minute) {
			t.Fatal("not written")
		}
		if out, err := followRun(t, g.dir.Path(), "--count"); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v\n%s", says, err, out)
		}
	}
}

// TestAKilledMaster: nobody has the journal open, and the run has not ended.
func TestAKilledMaster(t *testing.T) {
	g := newGoing(t)
	g.save()
	g.tell(wire.News{})
	if err := g.journal.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := followRun(t, g.dir.Path(), "--wait", "200ms"); err == nil || !strings.Contains(err.Error(), "it was killed; tsrun resume") {
		t.Error(err)
	}
}

// TestTagsOfSeveralSinks would be printed twice.
func TestTagsOfSeveralSinks(t *testing.T) {
	dir := runtest.WriteRun(t)
	change(func(m *run.Manifest) { m.Nodes["alice"].Sinks["far"] = &run.Sink{Channels: []string{"signal"}} })(t, dir)
	if out, err := followRun(t, dir, "--tags"); err == nil || !strings.Contains(err.Error(), "alice.signal goes to the sinks far, raw") || out != "" {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := followRun(t, dir, "--tags", "--sink", "raw", "--node", "alice"); err != nil || strings.Count(out, "alice.signal;") != 6 {
		t.Errorf("%v\n%s", err, out)
	}
	if _, err := followRun(t, dir, "--count", "--sink", "far", "--channel", "signal"); err == nil {
		t.Error("nothing came of a sink, and nothing is said")
	}
}

func TestWordsThatAreWrong(t *testing.T) {
	for _, args := range [][]string{{}, {"a", "b"}, {"a", "--wait", "1ns"}, {"a", "--node", "*"}, {"a", "--what"}} {
		if _, err := Parse(args); err == nil || !strings.Contains(err.Error(), "write tsrun follow RUN-DIRECTORY") {
			t.Errorf("%q: %v", args, err)
		}
	}
}
