package results

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tsrun/internal/need"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/sdk/quantity"
)

func TestMain(m *testing.M) {
	need.OwnFiles()
	goleak.VerifyTestMain(m)
}

// bench is a run directory whose stages "rates" and "empty" have results, and a script
// that is the program of a sink.
func bench(t *testing.T, script, table string) Options {
	t.Helper()
	dir, plugins := t.TempDir(), t.TempDir()
	m := &run.Manifest{Run: strings.Repeat("01", 16), Results: []run.Result{{Stage: "empty", Kind: "align", Summary: []byte(`{"a":1}`)}}}
	if table != "" {
		put(t, filepath.Join(dir, run.ResultsDir, "rates.csv"), table)
		m.Results = append([]run.Result{{Stage: "rates", Kind: "rates", Files: []string{run.ResultsDir + "/rates.csv"}}}, m.Results...)
	}
	program := filepath.Join(plugins, "sink-script")
	put(t, program, "#!/bin/sh\n"+script+"\n")
	put(t, program+".json", `{"name":"sink-script","version":"7","summary":"is tried","protocol":1,"sinks":[{"name":"sink-script","schema":{},"defaults":{},"results":{"schema":{},"defaults":{}}}]}`)
	return Options{Dir: dir, Manifest: m, PluginDirs: []string{plugins}, Within: 60 * time.Second, Warn: func(string, string) {},
		Recipe: &recipe.Recipe{ResultSinks: []recipe.ResultSink{{Name: "s", Sink: "sink-script", Stages: []string{"results"}}}}}
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o755)); err != nil {
		t.Fatal(err)
	}
}

// left are the files and directories below that of the sink.
func left(t *testing.T, o Options) (names []string) {
	t.Helper()
	own := filepath.Join(o.Dir, run.ResultsDir, "s")
	err := filepath.WalkDir(own, func(path string, _ fs.DirEntry, err error) error {
		if err == nil && path != own {
			names = append(names, filepath.Base(path))
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	return names
}

const (
	twoRates = "# of a run\na_ps,of\n1,x\n2,y\n"
	// x and a line feed
	sumOfX = "73cb3858a687a8494ca3323053016282f3dad39d42cf62ca4e79dda2aac7d9ac"
)

// writes is a program that takes all and tells of such files.
func writes(commands string, files ...string) string {
	return "cat >/dev/null; echo x >rates.csv; " + commands + `
echo '{"version":1,"files":[` + strings.Join(files, ",") + `]}'`
}

func told(stage, path string, size int, sum string) string {
	return fmt.Sprintf(`{"stage":%q,"path":%q,"size":%d,"sha256":%q}`, stage, path, size, sum)
}

// TestPrograms: what a program proves is kept, and nothing else is.
func TestPrograms(t *testing.T) {
	good := told("rates", "rates.csv", 2, sumOfX)
	for name, test := range map[string]struct {
		script string
		files  int
		failed string // "": it has not
	}{
		"as it should":               {writes("", good), 1, ""},
		"nothing of it":              {`cat >/dev/null; echo '{"version":1,"files":[],"without":["rates","empty","of nobody"]}'`, 0, ""},
		"reads nothing":              {`exec <&-; echo x >rates.csv; echo '{"version":1,"files":[` + good + `]}'`, 1, ""},
		"exits with 0 and no answer": {"cat >/dev/null; echo x >rates.csv", 0, "its answer cannot be read"},
		"another version":            {`cat >/dev/null; echo '{"version":2}'`, 0, "version 2"},
		"fails and says why":         {"cat >/dev/null; echo x >rates.csv; echo the disk is on fire >&2; exit 1", 0, "the disk is on fire"},
		"dies":                       {"echo x >rates.csv; kill -9 $$", 0, "killed"},
		"talks without end":          {"yes", 0, "longer than"},
		"a symlink":                  {writes("mv rates.csv .x; ln -s .x rates.csv", good), 0, "no regular file"},
		"a symlink that leads out":   {writes("ln -sf /etc/passwd rates.csv", good), 0, "no regular file"},
		"a pipe":                     {writes("rm rates.csv; mkfifo rates.csv", good), 0, "no regular file"},
		"a directory":                {writes("rm rates.csv; mkdir -p rates.csv/a/b", good), 0, "no regular file"},
		"a file outside":             {writes("", told("rates", "../rates.csv", 2, sumOfX)), 0, "is to be called"},
		"a path":                     {writes("", told("rates", "/etc/passwd", 2, sumOfX)), 0, "is to be called"},
		"a path behind the dot":      {writes("", told("rates", "rates./../x", 2, sumOfX)), 0, "is to be called"},
		"of no stage":                {writes("", told("others", "others.csv", 2, sumOfX)), 0, "was not given"},
		"unfinished":                 {writes("mv rates.csv rates.part", told("rates", "rates.part", 2, sumOfX)), 0, "is to be called"},
		"twice":                      {writes("", good, good), 1, "twice"},
		"more than there are":        {writes("", good, good, good), 1, "1 files more"},
		"a stray file":               {writes("echo y >other", good), 1, `it left "other"`},
		"a stray directory":          {writes("mkdir -p a/b/c; ln -s /etc a/etc", good), 1, `it left "a"`},
		"wrong hash":                 {writes("", told("rates", "rates.csv", 2, strings.Repeat("0", 64))), 0, "has SHA-256"},
		"wrong size":                 {writes("", told("rates", "rates.csv", 3, sumOfX)), 0, "has 3 bytes, there are 2"},
		"no such file":               {writes("rm rates.csv", good), 0, "no such file"},
		"a file with holes":          {writes("truncate -s 1T rates.csv", told("rates", "rates.csv", 1<<40, sumOfX)), 0, "more than the 64 MiB"},
		"one beyond its room":        {writes("truncate -s 70M other", good), 0, "more than the 64 MiB"},
		"too many files":             {writes(fmt.Sprintf("mkdir -p d; cd d; seq -f %%.0f %d | xargs mkdir", mostFiles+1), good), 0, "2000 files"},
		"what it started writes on":  {writes("(exec >/dev/null 2>&1 </dev/null; sleep 0.5; echo y >late) &", good), 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := bench(t, test.script, twoRates)
			r := Give(t.Context(), o)[0]
			if name == "what it started writes on" {
				time.Sleep(time.Second)
			}
			if len(r.Files) != test.files || (r.Failed == "") != (test.failed == "") || !strings.Contains(r.Failed, test.failed) || strings.Contains(r.Failed, "\n") {
				t.Errorf("%+v", r)
			}
			if r.Version != "7" || len(r.SHA256) != 64 || r.Confined == (r.Unconfined != "") {
				t.Errorf("the program is said to be %+v", r)
			}
			if names := left(t, o); len(names) != test.files {
				t.Errorf("it left %q", names)
			}
			if len(r.Files) > 0 && (r.Files[0] != run.ResultFile{Stage: "rates", File: "results/s/rates.csv", Size: 2, SHA256: sumOfX}) {
				t.Errorf("%+v", r.Files[0])
			}
			if whole, err := os.ReadFile(filepath.Join(o.Dir, run.ResultsDir, "rates.csv")); err != nil || string(whole) != twoRates {
				t.Errorf("the run's own table: %v %q", err, whole)
			}
		})
	}
}

// TestHangs: a program that does not end, or fills the disk for ever, is ended with all
// that it has started.
func TestHangs(t *testing.T) {
	for name, test := range map[string]struct {
		script, failed string
		within         time.Duration
	}{
		"sleeps":             {"cat >/dev/null; echo x >rates.csv; sleep 100", "not ended within", 200 * time.Millisecond},
		"reads nothing":      {"sleep 100 & wait", "not ended within", 200 * time.Millisecond},
		"its child holds on": {"trap '' TERM; exec >&- 2>&-; sleep 100", "not ended within", 200 * time.Millisecond},
		"fills the disk":     {"truncate -s 1G rates.csv; sleep 100", "more than the 64 MiB", time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := bench(t, test.script, twoRates)
			o.Within = test.within
			if r := Give(t.Context(), o)[0]; !strings.Contains(r.Failed, test.failed) || len(r.Files) != 0 || len(left(t, o)) != 0 {
				t.Errorf("%+v, left %q", r, left(t, o))
			}
		})
	}
}

// TestIsBrokenOff: a run that is broken off waits for no sink.
func TestIsBrokenOff(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(200*time.Millisecond, cancel)
	if r := Give(ctx, bench(t, "sleep 100", twoRates))[0]; !strings.Contains(r.Failed, "canceled") {
		t.Errorf("%+v", r)
	}
}

// TestLittleSpace: no program is started on a disk that is to stay free.
func TestLittleSpace(t *testing.T) {
	o := bench(t, writes("", told("rates", "rates.csv", 2, sumOfX)), twoRates)
	o.Recipe.Faults.DiskBelow = 1 << 61 * quantity.Byte
	if r := Give(t.Context(), o)[0]; !strings.Contains(r.Failed, "faults.disk_below") || len(r.Files) != 0 || r.Confined || r.Unconfined != "" {
		t.Errorf("%+v", r)
	}
}

// TestWhatIsGiven: the program reads the narrowest types that keep all digits, and what
// cannot be given is told of.
func TestWhatIsGiven(t *testing.T) {
	echo := `cat >in; mv in rates.txt; s=$(sha256sum rates.txt); echo '{"version":1,"files":[{"stage":"rates","path":"rates.txt","size":'$(wc -c <rates.txt)',"sha256":"'${s%% *}'"}]}'`
	table := "whole,long_ps,mixed,exact,none,text,beyond\n1,9007199254740993,9007199254740993,9007199254740992,,x,9223372036854775808\n,-9007199254740993,0.5,0.5,,1,1\n"
	o := bench(t, echo, table)
	o.Manifest.Results = append(o.Manifest.Results, run.Result{Stage: "skipped", Skipped: "no tags"})
	r := Give(t.Context(), o)[0]
	if len(r.Files) != 1 || r.Failed != "" || len(r.Without) != 1 || r.Without[0] != "skipped: it was skipped" {
		t.Fatalf("%+v", r)
	}
	text, err := os.ReadFile(filepath.Join(o.Dir, r.Files[0].File))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	for _, want := range []string{`{"name":"whole","type":"integer"}`, `{"name":"long_ps","unit":"ps","type":"integer"}`, `{"name":"mixed","type":"text"}`, `{"name":"exact","type":"number"}`,
		`{"name":"none","type":"number"}`, `{"name":"text","type":"text"}`, `{"name":"beyond","type":"text"}`, `"rows":2`} {
		if !strings.Contains(lines[1], want) {
			t.Errorf("no %s in %s", want, lines[1])
		}
	}
	if strings.Join(lines[2:4], "") != table[strings.IndexByte(table, '\n')+1:] || !strings.Contains(lines[4], `"stage":"empty"`) || !strings.Contains(lines[4], `"summary":{"a":1}`) || len(lines) != 6 {
		t.Errorf("%q", lines)
	}
}

// TestTablesThatAreNotGiven: they are told of, and the program gets what else there is.
func TestTablesThatAreNotGiven(t *testing.T) {
	wide := strings.Repeat("c,", 999) + "c\n"
	for want, table := range map[string]string{
		"has not 2 cells":               "a,b\n1\n",
		"row 2 of its table has not 2":  "a,b\n1,2\n1,2,3\n",
		"no heading":                    "# nothing\n",
		"1001 columns":                  "c," + wide,
		"more than the 33554432 cells":  wide + strings.Repeat(strings.Repeat(",", 999)+"\n", 33_555),
		"token too long":                "a\n" + strings.Repeat("1", longestLine+1) + "\n",
		"rates.csv: no such file or di": "gone",
	} {
		o := bench(t, `cat >/dev/null; echo '{"version":1,"files":[]}'`, table)
		if table == "gone" {
			os.Remove(filepath.Join(o.Dir, run.ResultsDir, "rates.csv"))
		}
		if r := Give(t.Context(), o)[0]; r.Failed != "" || len(r.Without) != 1 || !strings.Contains(r.Without[0], want) {
			t.Errorf("%s: %+v", want, r)
		}
	}
}

// TestNothingToGive: without results no program is started; a run whose stages had no
// table has no directory for it yet.
func TestNothingToGive(t *testing.T) {
	o := bench(t, "exit 1", "")
	o.Manifest.Results = nil
	if r := Give(t.Context(), o)[0]; !strings.Contains(r.Failed, "no stage has a result") {
		t.Errorf("%+v", r)
	}
	o = bench(t, `cat >/dev/null; echo '{"version":1,"files":[],"without":["empty"]}'`, "")
	if r := Give(t.Context(), o)[0]; r.Failed != "" || len(r.Without) != 1 {
		t.Errorf("%+v", r)
	}
	o.Recipe.ResultSinks = nil
	if r := Give(t.Context(), o); r != nil {
		t.Errorf("%+v", r)
	}
}

// TestAgain: what a master before has left there is no part of what is given again.
func TestAgain(t *testing.T) {
	o := bench(t, writes("", told("rates", "rates.csv", 2, sumOfX)), twoRates)
	put(t, filepath.Join(o.Dir, run.ResultsDir, "s", "rates.csv"), "half of a fi")
	put(t, filepath.Join(o.Dir, run.ResultsDir, "s", "d", "other"), "")
	for range 2 {
		if r := Give(t.Context(), o)[0]; r.Failed != "" || len(r.Files) != 1 || len(left(t, o)) != 1 {
			t.Errorf("%+v, left %q", r, left(t, o))
		}
	}
}

// TestPluginsThatAreNotAsked: no program is started that is not there, or takes none.
func TestPluginsThatAreNotAsked(t *testing.T) {
	o := bench(t, "exit 1", twoRates)
	o.Recipe.ResultSinks[0].Sink = "sink-missing"
	if r := Give(t.Context(), o)[0]; !strings.Contains(r.Failed, "sink-missing") {
		t.Errorf("%+v", r)
	}
	o = bench(t, "exit 1", twoRates)
	put(t, filepath.Join(o.PluginDirs[0], "sink-script.json"), `{"name":"sink-script","version":"7","summary":"x","protocol":1,"sinks":[{"name":"sink-script","schema":{},"defaults":{}}]}`)
	hint := ""
	o.Warn = func(_, h string) { hint = h }
	if r := Give(t.Context(), o)[0]; !strings.Contains(r.Failed, "does not say that it takes results") || !strings.Contains(hint, "make build") {
		t.Errorf("%+v, %s", r, hint)
	}
}
