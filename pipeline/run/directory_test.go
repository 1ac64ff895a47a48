package run_test

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tsrun/internal/need"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/run/runtest"
	"tsrun/sdk"
)

func TestCreateIsExclusive(t *testing.T) {
	root := filepath.Join(t.TempDir(), "new", "runs")
	for _, want := range []string{"20260301T120000Z-pairs", "20260301T120000Z-pairs-2", "20260301T120000Z-pairs-3"} {
		d, err := run.Create(root, "pairs", runtest.Noon)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		if got := filepath.Base(d.Path()); got != want {
			t.Errorf("directory %q, want %q", got, want)
		}
		if link, err := os.Readlink(filepath.Join(root, "latest")); err == nil && link == want {
			t.Errorf("latest is %q before anything was recorded", link)
		}
		d.PointLatest()
		if link, err := os.Readlink(filepath.Join(root, "latest")); err != nil || link != want {
			t.Errorf("latest is %q (%v), want %q", link, err, want)
		}
	}
	for _, name := range []string{"", "..", "a/b", "a\x00b", "a\nb"} {
		if _, err := run.Create(root, name, runtest.Noon); err == nil {
			t.Errorf("a directory for the name %q", name)
		}
	}
}

func TestCreateNotWritable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := run.Create(filepath.Join(file, "runs"), "pairs", runtest.Noon)
	var failure *sdk.Failure
	if !errors.As(err, &failure) || failure.Hint == "" || !strings.Contains(err.Error(), file) {
		t.Errorf("error without place or hint: %v", err)
	}
}

func TestKeepRecipe(t *testing.T) {
	d := runtest.NewDirectory(t)
	record, err := d.KeepRecipe([]run.RecipeSource{
		{Path: "/lab/today/pairs.yaml", Bytes: []byte("version: 1\r\n")},
		{Path: "/lab/pairs.yaml", Bytes: []byte("parent")},
		{Path: "/lab/öde resolved.json", Bytes: []byte("odd")},
		{Path: "/x/resolved.json", Bytes: []byte("same name as ours")},
	}, &recipe.Recipe{Name: "pairs"}, []byte("version: 1\nname: pairs\n"), []string{"acquire.duration=2 s"})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"recipe/pairs.yaml", "recipe/2-pairs.yaml", "recipe/_de_resolved.json", "recipe/4-resolved.json"} {
		if got := record.Files[i].File; got != want {
			t.Errorf("file %d is %q, want %q", i, got, want)
		}
	}
	kept, err := os.ReadFile(filepath.Join(d.Path(), record.File))
	if err != nil || string(kept) != "version: 1\r\n" {
		t.Errorf("recipe kept as %q (%v)", kept, err)
	}
	repeats, err := os.ReadFile(filepath.Join(d.Path(), record.Repeats))
	if err != nil || string(repeats) != "version: 1\nname: pairs\n" {
		t.Errorf("the recipe that repeats the run is %q (%v)", repeats, err)
	}
	var resolved recipe.Recipe
	text, err := os.ReadFile(filepath.Join(d.Path(), record.Resolved))
	if err := errors.Join(err, json.Unmarshal(text, &resolved)); err != nil || resolved.Name != "pairs" {
		t.Errorf("resolved recipe %q (%v)", text, err)
	}
}

func TestManifestSaysUnfinishedUntilSealed(t *testing.T) {
	d := runtest.NewDirectory(t)
	m := runtest.GoodManifest()
	m.Ended = time.Time{}
	m.Segments = nil
	m.Nodes = map[string]*run.Node{}
	if err := d.WriteManifest(m); err != nil {
		t.Fatal(err)
	}
	read, err := run.ReadManifest(d.Path())
	if err != nil {
		t.Fatal(err)
	}
	if !read.Has(run.Incomplete) || read.Has(run.Good) || !read.Ended.IsZero() {
		t.Errorf("a run that has not ended reads as %v, ended %v", read.Condition, read.Ended)
	}
	m.Ended = runtest.Noon
	if err := d.Seal(m); err != nil {
		t.Fatal(err)
	}
	if read, err = run.ReadManifest(d.Path()); err != nil || !read.Has(run.Good) {
		t.Errorf("sealed as %v (%v)", read.Condition, err)
	}
	if err := d.WriteManifest(m); err == nil {
		t.Error("the manifest of a sealed directory was replaced")
	}
	left, err := filepath.Glob(filepath.Join(d.Path(), ".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v (%v)", left, err)
	}
}

func TestRawRefusesPaths(t *testing.T) {
	d := runtest.NewDirectory(t)
	for _, node := range []string{"", ".", "..", "a/b", "/etc", "../../x"} {
		if path, err := d.Raw(node); err == nil {
			t.Errorf("raw directory of %q: %s", node, path)
		}
	}
	path, err := d.Raw("alice")
	if info, statErr := os.Stat(path); err != nil || statErr != nil || !info.IsDir() {
		t.Errorf("raw directory of alice: %s (%v, %v)", path, err, statErr)
	}
}

func TestSha256sumAgrees(t *testing.T) {
	tool := need.Tool(t, "sha256sum", "coreutils")
	dir := runtest.WriteRun(t)
	check := exec.Command(tool, "-c", "--strict", run.SumsFile)
	check.Dir = dir
	if out, err := check.CombinedOutput(); err != nil {
		t.Fatalf("sha256sum -c: %v\n%s", err, out)
	}
	sums, err := os.ReadFile(filepath.Join(dir, run.SumsFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"manifest.json", "recipe/pairs.yaml", "recipe/resolved.json", "raw/alice/signal-000000.bin", "results/g2.csv"} {
		if !strings.Contains(string(sums), "  "+name+"\n") {
			t.Errorf("%s is not covered:\n%s", name, sums)
		}
	}
	runtest.FlipByte(t, filepath.Join(dir, "results/g2.csv"), 0)
	check = exec.Command(tool, "-c", run.SumsFile)
	check.Dir = dir
	if out, err := check.CombinedOutput(); err == nil {
		t.Errorf("sha256sum did not see a flipped byte\n%s", out)
	}
}

func TestCheckSpace(t *testing.T) {
	dir := t.TempDir()
	room, err := run.CheckSpace(dir, 1, 1)
	if err != nil || room.Free < 1 || room.Warning() != "" {
		t.Errorf("%+v, %v", room, err)
	}
	var failure *sdk.Failure
	if _, err := run.CheckSpace(dir, 1<<62, 0); !errors.As(err, &failure) || failure.Hint == "" {
		t.Errorf("4 EiB are said to be free, or no hint: %v", err)
	}
	for _, tags := range []int64{1 << 62, math.MaxInt64} {
		if _, err := run.CheckSpace(dir, 1, tags); !errors.As(err, &failure) || failure.Field != "expect" {
			t.Errorf("%d tags are said to fit: %v", tags, err)
		}
	}
	room.Tags = int64(room.Free) / 2
	if warning := room.Warning(); !strings.Contains(warning, "will not fit") {
		t.Errorf("warning %q", warning)
	}
	if _, err := run.CheckSpace(filepath.Join(dir, "nowhere"), 1, 0); err == nil {
		t.Error("space where nothing is")
	}
}

func TestProvenance(t *testing.T) {
	tool := need.Tool(t, "git", "git")
	dir := t.TempDir()
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	t.Setenv("GIT_CEILING_DIRECTORIES", filepath.Dir(dir))
	file := filepath.Join(dir, "recipes", "pairs.yaml")
	write := func(text string) {
		t.Helper()
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	git := func(args ...string) string {
		t.Helper()
		args = append([]string{"-C", dir, "-c", "user.name=lab", "-c", "user.email=lab@example.org"}, args...)
		out, err := exec.Command(tool, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	write("version: 1\n")
	if g := run.Provenance(t.Context(), file); g.Note != "the recipe is in no git repository" || g.Commit != "" {
		t.Errorf("without a repository: %+v", g)
	}
	git("init", "-q")
	if g := run.Provenance(t.Context(), file); g.Note == "" || g.Commit != "" {
		t.Errorf("without a commit: %+v", g)
	}
	git("add", ".")
	git("commit", "-q", "-m", "Start")
	want := run.Git{Commit: git("rev-parse", "HEAD"), Path: "recipes/pairs.yaml"}
	if g := run.Provenance(t.Context(), file); g != want {
		t.Errorf("committed: %+v, want %+v", g, want)
	}
	write("version: 1\nname: changed\n")
	want.Dirty = true
	if g := run.Provenance(t.Context(), file); g != want {
		t.Errorf("changed: %+v, want %+v", g, want)
	}
	git("commit", "-q", "-a", "-m", "Change")
	file = filepath.Join(filepath.Dir(file), "new.yaml")
	write("version: 1\n")
	if g := run.Provenance(t.Context(), file); !g.Dirty || g.Path != "" || g.Commit == "" {
		t.Errorf("a recipe in no commit: %+v", g)
	}
	t.Setenv("PATH", t.TempDir())
	if g := run.Provenance(t.Context(), file); g.Note != "git is not installed" {
		t.Errorf("without git: %+v", g)
	}
}
