package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tsrun/pipeline/run"
	"tsrun/pipeline/run/runtest"
)

// TestResultsOfStagesGoToSinks: what stages find is there as csv, npz and Parquet, proven
// as all files of a run are; a sink whose program fails costs a warning.
func TestResultsOfStagesGoToSinks(t *testing.T) {
	t.Parallel()
	plugins := ownModule(t, "sink-parquet")
	lying := filepath.Join(plugins, "sink-lying")
	write(t, lying, "#!/bin/sh\ncat >/dev/null\necho x >rates.csv; echo x >other\n"+
		`echo '{"version":1,"files":[{"stage":"rates","path":"rates.csv","size":2,"sha256":"00"}]}'`+"\n")
	if err := os.Chmod(lying, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, lying+".json", `{"name":"sink-lying","version":"1","summary":"lies","protocol":1,"sinks":[{"name":"sink-lying","schema":{},"defaults":{},"results":{"schema":{},"defaults":{}}}]}`)
	recipe := sunk(t, `raw: {sink: sink-file}, text: {sink: sink-file, takes: results}, arrays: {sink: sink-file, takes: [rates], config: {format: npz}},
  columns: {sink: sink-parquet, takes: rates}, liar: {sink: sink-lying, takes: results}`)
	r, dir, m := runIn(t, recipe, "--plugin-dir", plugins)
	if good(t, r); !run.IsGood(m.Condition) {
		t.Errorf("condition %v\n%s", m.Condition, reasons(m))
	}
	verified(t, dir)
	of := map[string]run.ResultRecord{}
	for _, s := range m.ResultSinks {
		of[s.Sink] = s
	}
	for sink, file := range map[string]string{"text": "results/text/rates.csv", "arrays": "results/arrays/rates.npz", "columns": "results/columns/rates.parquet"} {
		if s := of[sink]; len(s.Files) != 1 || s.Files[0].File != file || s.Files[0].Size == 0 || s.Failed != "" {
			t.Errorf("%s: %+v", sink, s)
			continue
		}
		whole, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil || !strings.Contains(strings.ReplaceAll(string(whole), "\x00", ""), m.Run) {
			t.Errorf("%s does not say of which run it is: %v", file, err)
		}
	}
	if s := of["liar"]; len(m.ResultSinks) != 4 || len(s.Files) != 0 || !strings.Contains(s.Failed, "SHA-256") || !strings.Contains(s.Failed, "removed") {
		t.Errorf("%+v of %d", s, len(m.ResultSinks))
	}
	if _, err := os.Lstat(filepath.Join(dir, "results", "liar")); !os.IsNotExist(err) {
		t.Errorf("what a liar wrote is there: %v", err)
	}
	contains(t, r.stdout+r.stderr, "sink liar of results", "arrays has 1 file of results")
	runtest.FlipByte(t, filepath.Join(dir, of["arrays"].Files[0].File), 40)
	if v := runTsrun(t, t.TempDir(), "verify", dir); v.code == 0 || !strings.Contains(v.stdout, "arrays/rates.npz") {
		t.Errorf("a byte that was changed was not found: %s", v.stdout)
	}
}
