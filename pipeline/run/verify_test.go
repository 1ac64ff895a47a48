package run_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"tsrun/pipeline/run"
	"tsrun/pipeline/run/runtest"

	"pgregory.net/rapid"
)

func codes(v run.Verification) (all []string) {
	for _, f := range v.Findings {
		all = append(all, f.Code)
	}
	return all
}

func TestVerifyGood(t *testing.T) {
	v := runtest.MustVerify(t, runtest.WriteRun(t))
	if len(v.Findings) > 0 || v.Tags != 9 || v.Files != 9 {
		t.Errorf("%+v", v)
	}
}

// rewrite changes the manifest of a run as somebody with an editor would.
func rewrite(t *testing.T, dir string, change func(*run.Manifest)) {
	t.Helper()
	m, err := run.ReadManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	change(m)
	if err := os.WriteFile(filepath.Join(dir, run.ManifestFile), runtest.ManifestText(t, m), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestVerifyFinds(t *testing.T) {
	const segment = "raw/alice/signal-000000.bin"
	truncate := func(size int64) func(string) error {
		return func(dir string) error { return os.Truncate(filepath.Join(dir, segment), size) }
	}
	write := func(name, text string) func(string) error {
		return func(dir string) error { return os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644) }
	}
	edit := func(change func(*run.Manifest)) func(string) error {
		return func(dir string) error { rewrite(t, dir, change); return nil }
	}
	for _, c := range []struct {
		name   string
		harm   func(dir string) error
		file   string
		code   string
		saying string
	}{
		{"segment deleted", func(d string) error { return os.Remove(filepath.Join(d, segment)) }, segment, "missing", "proven when the run ended"},
		{"segment cut off at a tag", truncate(24), segment, "size", "24 bytes, the manifest says 32"},
		{"segment cut off within a tag", truncate(31), segment, "order", "ends within a tag"},
		{"segment empty", truncate(0), segment, "tags", "holds 0 tags"},
		{"segment is a pipe", func(d string) error {
			return errors.Join(os.Remove(filepath.Join(d, segment)), syscall.Mkfifo(filepath.Join(d, segment), 0o644))
		}, segment, "missing", "not a regular file"},
		{"segment is a link", func(d string) error {
			return errors.Join(os.Remove(filepath.Join(d, segment)), os.Symlink("/etc/passwd", filepath.Join(d, segment)))
		}, segment, "missing", "not a regular file"},
		{"a file nobody knows", write("raw/bob/more.bin", ""), "raw/bob/more.bin", "extra", "does not know it"},
		{"a file that was never finished", write("raw/bob/idler-000002.bin.part", "x"), "raw/bob/idler-000002.bin.part", "extra", "never finished"},
		{"result changed", write("results/g2.csv", "delay_ps,counts\n0,5\n"), "results/g2.csv", "hash", "SHA256SUMS says"},
		{"recipe deleted", func(d string) error { return os.Remove(filepath.Join(d, "recipe/pairs.yaml")) }, "recipe/pairs.yaml", "missing", "SHA256SUMS names it"},
		{"manifest is not JSON", write(run.ManifestFile, "{"), run.ManifestFile, "manifest", "unexpected end"},
		{"manifest with impossible numbers", write(run.ManifestFile, `{"segments":[{"tags":1e40}]}`), run.ManifestFile, "manifest", "cannot unmarshal"},
		{"manifest is a list", write(run.ManifestFile, `[]`), run.ManifestFile, "manifest", "cannot unmarshal"},
		{"manifest deleted", func(d string) error { return os.Remove(filepath.Join(d, run.ManifestFile)) }, run.ManifestFile, "manifest", "no such file"},
		{"manifest edited", edit(func(m *run.Manifest) { m.Name = "better" }), run.ManifestFile, "hash", "SHA256SUMS says"},
		{"run never ended", edit(func(m *run.Manifest) { m.Ended = time.Time{} }), run.ManifestFile, "unfinished", "not ended"},
		{"sums deleted", func(d string) error { return os.Remove(filepath.Join(d, run.SumsFile)) }, run.SumsFile, "sums", "no such file"},
		{"sums of nothing", write(run.SumsFile, ""), segment, "sums", "does not name it"},
		{"sums damaged", write(run.SumsFile, "hello  there\n"), run.SumsFile, "sums", "not a line of sha256sum"},
		{"sums with the last line end changed", func(d string) error {
			text, err := os.ReadFile(filepath.Join(d, run.SumsFile))
			return errors.Join(err, os.WriteFile(filepath.Join(d, run.SumsFile), append(text[:len(text)-1], '\r'), 0o644))
		}, run.SumsFile, "sums", "not a line of sha256sum"},
		{"sums lead outside", write(run.SumsFile, strings.Repeat("a", 64)+"  ../../etc/passwd\n"), run.SumsFile, "path", "not a file below"},
		{"sums without end", write(run.SumsFile, strings.Repeat("a", 1<<20)), run.SumsFile, "sums", "not a line of sha256sum"},
		{"tag count", edit(func(m *run.Manifest) { m.Segments[0].Tags++ }), segment, "tags", "holds 4 tags"},
		{"first tag", edit(func(m *run.Manifest) { m.Segments[0].FirstPs++ }), segment, "tags", "from 1000 ps"},
		{"last tag", edit(func(m *run.Manifest) { m.Segments[0].LastPs-- }), segment, "tags", "to 3000 ps"},
		{"hash", edit(func(m *run.Manifest) { m.Segments[0].SHA256 = "" }), segment, "hash", "the manifest says"},
		{"channel count", edit(func(m *run.Manifest) { m.Nodes["alice"].Channels["signal"].Tags = 7 }), "raw/alice", "tags", "delivered 7 tags"},
		{"segment dropped from the manifest", edit(func(m *run.Manifest) { m.Segments = m.Segments[1:] }), "raw/alice/signal-000001.bin", "missing", "where number 0 is due"},
		{"segments swapped", edit(func(m *run.Manifest) { m.Segments[0].Index, m.Segments[1].Index = 1, 0 }), segment, "order", "before the end of the segment before it"},
		{"segment twice", edit(func(m *run.Manifest) { m.Segments = append(m.Segments, m.Segments[0]) }), segment, "manifest", "twice"},
		{"segment never proven", edit(func(m *run.Manifest) { m.Segments[0].Verified = false; m.Segments[0].File = "raw/alice/signal-9.bin" }),
			"raw/alice/signal-9.bin", "missing", "never arrived"},
		{"path leads out", edit(func(m *run.Manifest) { m.Segments[0].File = "raw/alice/../../../../../etc/passwd" }), "raw/alice/../../../../../etc/passwd", "path", ""},
		{"absolute path", edit(func(m *run.Manifest) { m.Segments[0].File = "/etc/passwd" }), "/etc/passwd", "path", ""},
		{"another node's file", edit(func(m *run.Manifest) { m.Segments[0].Node = "bob" }), segment, "path", ""},
		{"no node", edit(func(m *run.Manifest) { m.Segments[0].Node = "" }), segment, "path", ""},
		{"a format that needs memory", edit(func(m *run.Manifest) { m.Segments[0].Format = "ptu" }), segment, "manifest", "not in a format"},
		{"a sink that keeps nothing known", edit(func(m *run.Manifest) { m.Nodes["alice"].Sinks["raw"].Channels = []string{"x"} }), run.ManifestFile, "manifest", "is no channel"},
		{"holes in the maps", edit(func(m *run.Manifest) { m.Nodes["zoe"] = nil; m.Nodes["bob"].Sinks["x"] = nil }), run.ManifestFile, "hash", ""},
		{"a result nobody knows", write("results/g2-better.csv", "x"), "results/g2-better.csv", "extra", "it came after the run"},
		{"a result that was never finished", write("results/.g2.csv.tmp", "x"), "results/.g2.csv.tmp", "extra", "it came after the run"},
		{"a recipe nobody knows", write("recipe/other.yaml", "x"), "recipe/other.yaml", "extra", "belongs into notes/"},
		{"a link among the results", func(d string) error { return os.Symlink("/etc", filepath.Join(d, "results/etc")) }, "results/etc", "extra", ""},
		{"sums with line ends of others", func(d string) error {
			text, err := os.ReadFile(filepath.Join(d, run.SumsFile))
			return errors.Join(err, os.WriteFile(filepath.Join(d, run.SumsFile), bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n")), 0o644))
		}, run.SumsFile, "sums", "SHA256SUMS:1: the line ends with CR LF"},
		{"directory of raw files is gone", func(d string) error { return os.RemoveAll(filepath.Join(d, "raw")) }, "raw", "missing", "no such file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := runtest.WriteRun(t)
			if err := c.harm(dir); err != nil {
				t.Fatal(err)
			}
			v := runtest.MustVerify(t, dir)
			for _, f := range v.Findings {
				if f.File == c.file && f.Code == c.code && strings.Contains(f.Message, c.saying) {
					return
				}
			}
			t.Errorf("no finding %q about %s that says %q: %+v", c.code, c.file, c.saying, v.Findings)
		})
	}
	if _, err := run.Verify(filepath.Join(t.TempDir(), "nowhere")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory that is not there: %v", err)
	}
}

// TestVerifySaysWhatLiesBeside: what is of no run, and nowhere where files of runs are,
// is said and no finding.
func TestVerifySaysWhatLiesBeside(t *testing.T) {
	dir := runtest.WriteRun(t)
	want := []string{".DS_Store", "plots/g2.png", "sources/x"}
	for _, name := range append(want, run.LogFile, run.JournalFile, run.CollectedFile, run.ReceivedFile, run.NotesDir+"/a") {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte("x"), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	v := runtest.MustVerify(t, dir)
	if !slices.Equal(v.Beside, want) || len(v.Findings) > 0 || !slices.Equal(v.Notes, []string{run.NotesDir + "/a"}) {
		t.Errorf("%+v", v)
	}
}

// TestNoRun names the run that is meant.
func TestNoRun(t *testing.T) {
	dir := runtest.WriteRun(t)
	for path, saying := range map[string]string{
		filepath.Join(dir, "raw"):                         "it has no manifest.json; the run is in " + dir,
		filepath.Join(dir, "raw", "alice"):                "the run is in " + dir,
		filepath.Join(dir, run.ManifestFile):              "is a file and no run directory; the run is in " + dir,
		filepath.Join(dir, "raw/alice/signal-000000.bin"): "is a file and no run directory; the run is in " + dir,
		filepath.Dir(dir):                                 "tsrun runs " + filepath.Dir(dir) + " names those in it",
		t.TempDir():                                       "such as those that tsrun runs lists",
	} {
		_, reading := run.ReadManifest(path)
		_, _, running := run.ReadRun(path)
		_, verifying := run.Verify(path)
		for _, err := range []error{reading, running, verifying} {
			if err == nil || !strings.Contains(err.Error(), saying) {
				t.Errorf("%s: %v, want %q", path, err, saying)
			}
		}
	}
}

// Whatever byte of whatever file but the log is changed in whatever way,
// Verify finds it; put back, it finds nothing.
func TestVerifyFindsEveryFlip(t *testing.T) {
	dir := runtest.WriteRun(t)
	var files []string
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() && e.Name() != run.LogFile {
			if info, infoErr := e.Info(); infoErr == nil && info.Size() > 0 {
				files = append(files, path)
			}
		}
		return err
	})
	if err != nil || len(files) < 7 {
		t.Fatal(files, err)
	}
	rapid.Check(t, func(rt *rapid.T) {
		path := rapid.SampledFrom(files).Draw(rt, "file")
		whole, err := os.ReadFile(path)
		if err != nil {
			rt.Fatal(err)
		}
		harmed := append([]byte(nil), whole...)
		harmed[rapid.IntRange(0, len(whole)-1).Draw(rt, "at")] ^= byte(rapid.IntRange(1, 255).Draw(rt, "bits"))
		if err := os.WriteFile(path, harmed, 0o644); err != nil {
			rt.Fatal(err)
		}
		v, err := run.Verify(dir)
		restored := os.WriteFile(path, whole, 0o644)
		if err := errors.Join(err, restored); err != nil {
			rt.Fatal(err)
		}
		if len(v.Findings) == 0 {
			rt.Fatalf("a flipped byte of %s was not found", path)
		}
	})
	if v := runtest.MustVerify(t, dir); len(v.Findings) > 0 {
		t.Errorf("after putting everything back: %v", codes(v))
	}
}

// Every single byte of the raw files, not only a sample.
func TestVerifyFindsEveryRawByte(t *testing.T) {
	dir := runtest.WriteRun(t)
	m, err := run.ReadManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range m.Segments {
		path := filepath.Join(dir, s.File)
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for at := range whole {
			harmed := append([]byte(nil), whole...)
			harmed[at] ^= 1 << rand.IntN(8)
			if err := os.WriteFile(path, harmed, 0o644); err != nil {
				t.Fatal(err)
			}
			if v := runtest.MustVerify(t, dir); !strings.Contains(fmt.Sprint(codes(v)), "hash") {
				t.Errorf("byte %d of %s: %v", at, s.File, codes(v))
			}
		}
		if err := os.WriteFile(path, whole, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func FuzzVerifyManifest(f *testing.F) {
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"nodes":{"a":null},"segments":[{"node":"a","file":"raw/a/../x","verified":true}]}`))
	f.Add([]byte(`{"ended":"2026-03-01T12:00:00Z","segments":[{"node":"a","channel":"c","file":"raw/a/c.bin","index":-9223372036854775808}]}`))
	text, err := json.Marshal(runtest.GoodManifest())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, text []byte) {
		dir := t.TempDir()
		if err := errors.Join(os.MkdirAll(filepath.Join(dir, "raw/a"), 0o755), os.WriteFile(filepath.Join(dir, run.ManifestFile), text, 0o644)); err != nil {
			t.Fatal(err)
		}
		if v := runtest.MustVerify(t, dir); len(v.Findings) == 0 { // there is no SHA256SUMS
			t.Error("nothing found in a run without sums")
		}
		if m, err := run.ReadManifest(dir); err == nil {
			m.Judge()
		}
	})
}
