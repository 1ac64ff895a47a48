package drill

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tsrun/pipeline/run"
	"tsrun/pipeline/run/runtest"
)

// told is a run with all its files, and what a witness has seen of it.
type told struct {
	b   *bench
	w   *witness
	dir string
	m   *run.Manifest
}

func newTold(t *testing.T) *told {
	t.Helper()
	dir := t.TempDir()
	b := &bench{dir: dir, recipe: pairs(), links: map[string]*link{"bob": {}}}
	made := runtest.WriteRun(t)
	x := &told{b: b, dir: filepath.Join(b.runs(), "run")}
	if err := os.CopyFS(x.dir, os.DirFS(made)); err != nil {
		t.Fatal(err)
	}
	for node, session := range map[string]string{"alice": filepath.Join(x.dir, "sources", "1-alice"), "bob": filepath.Join(b.dataOf("bob"), "1-bob")} {
		if err := os.CopyFS(filepath.Join(session, "raw", node), os.DirFS(filepath.Join(made, "raw", node))); err != nil {
			t.Fatal(err)
		}
	}
	x.w = b.newWitness()
	x.w.look()
	x.w.look()
	if len(x.w.files) != 4 || len(x.w.odd) != 0 {
		t.Fatalf("the witness saw %v, %v", x.w.files, x.w.odd)
	}
	var err error
	if x.m, err = run.ReadManifest(x.dir); err != nil {
		t.Fatal(err)
	}
	return x
}

// rewrite seals the directory again, with a manifest that a test has changed.
func (x *told) rewrite(t *testing.T) {
	t.Helper()
	text, err := json.Marshal(x.m)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(x.dir, run.ManifestFile), text, 0o644); err != nil {
		t.Fatal(err)
	}
}

func (x *told) remove(t *testing.T, name string, also bool) {
	t.Helper()
	err := os.Remove(filepath.Join(x.dir, name))
	if also {
		err = os.Remove(filepath.Join(x.b.dataOf("bob"), "1-bob", name))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestWhatIsLostIsFound: each way in which a run can lose tags is a defect, and
// what is as it should be is none.
func TestWhatIsLostIsFound(t *testing.T) {
	const file = "raw/bob/idler-000000.bin"
	for name, c := range map[string]struct {
		do   func(t *testing.T, x *told)
		code int
		want string // of a defect; "": none
	}{
		"all is here": {func(*testing.T, *told) {}, 0, ""},
		"a file is nowhere": {func(t *testing.T, x *told) {
			x.remove(t, file, false)
			x.remove(t, "raw/bob/idler-000001.bin", true)
			if err := os.WriteFile(filepath.Join(x.dir, "raw/bob/idler-000001.bin"), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}, 0, file + " is only with node bob, and the manifest gives no reason"},
		"a file is nowhere at all": {func(t *testing.T, x *told) {
			x.remove(t, file, false)
			if err := os.Remove(filepath.Join(x.b.dataOf("bob"), "1-bob", file)); err != nil {
				t.Fatal(err)
			}
		}, 0, file + " was closed, and is nowhere: lost"},
		"another byte": {func(t *testing.T, x *told) { runtest.FlipByte(t, filepath.Join(x.dir, file), 3) }, 0, file + " is not with the master as the sink has closed it"},
		"listed twice": {func(t *testing.T, x *told) {
			x.m.Segments = append(x.m.Segments, x.m.Segments[2])
			x.rewrite(t)
		}, 0, "stands 2 times"},
		"not listed": {func(t *testing.T, x *told) {
			x.m.Segments = x.m.Segments[:3]
			x.rewrite(t)
		}, 0, "does not call it proven"},
		"a loss without a reason": {func(t *testing.T, x *told) {
			x.m.Nodes["bob"].Channels["idler"].Lost = 7
			x.rewrite(t)
		}, 0, "the manifest does not say: INCOMPLETE bob.idler: 7 tags lost"},
		"no end": {func(t *testing.T, x *told) {
			x.m.Ended = time.Time{}
			x.rewrite(t)
		}, 0, "the run has not ended"},
		"the wrong exit code": {func(*testing.T, *told) {}, 3, "exit code 3 of a run in condition [GOOD]"},
	} {
		t.Run(name, func(t *testing.T) {
			x := newTold(t)
			c.do(t, x)
			r := Result{ExitCode: c.code, Ended: byItself}
			x.b.judge(&r, x.w)
			defects := strings.Join(r.Defects, "\n")
			if c.want == "" && defects != "" || !strings.Contains(defects, c.want) {
				t.Errorf("defects:\n%s\nwant %q", defects, c.want)
			}
			if c.want == "" && (r.Here != 4 || r.Closed != 4 || r.Tags != 9) {
				t.Errorf("%+v", r)
			}
		})
	}
}

// TestWhatIsKeptAndToldIsNoLoss: a file that stayed with its node, of which the
// manifest says so.
func TestWhatIsKeptAndToldIsNoLoss(t *testing.T) {
	const file = "raw/bob/idler-000000.bin"
	x := newTold(t)
	x.remove(t, file, false)
	for i := range x.m.Segments {
		x.m.Segments[i].Verified = x.m.Segments[i].Verified && x.m.Segments[i].File != file
	}
	x.m.Judge()
	x.rewrite(t)
	r := Result{ExitCode: 3, Ended: byItself}
	x.b.judge(&r, x.w)
	if r.Kept != 1 || r.Here != 3 || strings.Contains(strings.Join(r.Defects, "\n"), file) {
		t.Errorf("%+v", r)
	}
}

// TestRunThatWasGivenUpKeepsFilesAtItsNodes: whoever's fault it was.
func TestRunThatWasGivenUpKeepsFilesAtItsNodes(t *testing.T) {
	const file = "raw/bob/idler-000000.bin"
	for condition, defects := range map[run.Condition]bool{run.Aborted: false, run.Incomplete: true} {
		x := newTold(t)
		x.remove(t, file, false)
		for i := range x.m.Segments {
			x.m.Segments[i].Verified = x.m.Segments[i].Verified && x.m.Segments[i].File != file
		}
		x.m.Reasons = []run.Reason{{Condition: condition, Node: "alice", Message: "its slave ended"}}
		r := Result{Ended: byItself}
		j := judgement{r: &r, m: x.m, dir: x.dir}
		j.judgeFile(file, x.w.files[file])
		if got := len(r.Defects) > 0; got != defects {
			t.Errorf("%s: %q", condition, r.Defects)
		}
	}
}

// TestEmptyFilesOfNoStart: what a sink closed before a start that was called off holds
// nothing, so it may go; one with tags may not.
func TestEmptyFilesOfNoStart(t *testing.T) {
	const file = "raw/bob/idler-000000.bin"
	for size, lost := range map[int]bool{0: false, 8: true} {
		x := newTold(t)
		x.m.Condition, x.m.Segments, x.m.Trigger.InstantNs = []run.Condition{run.Aborted}, nil, 1
		x.remove(t, file, true)
		kept := filepath.Join(t.TempDir(), "kept")
		if err := os.WriteFile(kept, make([]byte, size), 0o644); err != nil {
			t.Fatal(err)
		}
		r := Result{Ended: byItself}
		j := judgement{r: &r, m: x.m, dir: x.dir}
		j.judgeFile(file, &closedFile{node: "bob", source: filepath.Join(x.dir, "gone"), kept: kept})
		if got := len(r.Defects) > 0; got != lost {
			t.Errorf("%d bytes: %q", size, r.Defects)
		}
	}
}

// TestFinishedFilesAreNotTaken by others of their name.
func TestFinishedFilesAreNotTaken(t *testing.T) {
	x := newTold(t)
	path := filepath.Join(x.b.dataOf("bob"), "1-bob", "raw/bob/idler-000000.bin")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("another"), 0o644); err != nil {
		t.Fatal(err)
	}
	x.w.look()
	x.w.look()
	if len(x.w.odd) != 1 || !strings.Contains(x.w.odd[0], "another file has taken its name") {
		t.Errorf("%q", x.w.odd)
	}
}
