package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tsrun/pipeline/run"
)

// sunk is a recipe of one node whose 4 000 tags go to the given sinks, and of a
// stage that reads those of one channel.
func sunk(t *testing.T, sinks string, stages ...string) string {
	t.Helper()
	if stages == nil {
		stages = []string{"pipeline: [{stage: rates, config: {of: [alice.a]}}]"}
	}
	return write(t, filepath.Join(t.TempDir(), "sunk.yaml"), fmt.Sprintf(`version: 1
name: sunk
nodes:
  alice:
    controllers: {tc: {driver: tc-hurry}}
    channels: {a: {on: tc/1, threshold: 120 mV}, b: {on: tc/2, threshold: 120 mV}}
trigger: {lead: 1 s}
acquire: {duration: 2 s, segment: 1 s}
sinks: {%s}
%s
`, sinks, strings.Join(stages, "\n")))
}

// verified fails the test unless nothing in a run directory is found wrong.
func verified(t *testing.T, dir string) {
	t.Helper()
	if v := runTsrun(t, t.TempDir(), "verify", dir); v.code != 0 {
		t.Errorf("verify: exit code %d\n%s%s", v.code, v.stdout, v.stderr)
	}
}

const ofTags = "{sink: sink-file, config: {format: csv}}"

// TestSinksOfOtherKinds runs a sink that counts into a table, and sinks that
// keep tags where no stage finds them, beside sinks that keep files of tags.
func TestSinksOfOtherKinds(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		sinks, from string
		says        []string
	}{
		"before it":          {"counts: {sink: sink-counts}, raw: " + ofTags, "raw", []string{"counts: 1 file of other kinds", "raw: 4 files of tags, which the stages read for 1 of 2 channels"}},
		"after it":           {"raw: " + ofTags + ", zcounts: {sink: sink-counts}", "raw", []string{"zcounts: 1 file of other kinds"}},
		"no files":           {"counts: {sink: sink-counts, config: {table: ''}}, raw: " + ofTags, "raw", []string{"counts: no files"}},
		"elsewhere":          {"base: {sink: sink-base, config: {table: ''}}, raw: " + ofTags, "raw", []string{"base: 4 000 tags kept in no file of the run"}},
		"older than kinds":   {"counts: {sink: sink-older, config: {kind: '', table: counts.dat}}, raw: " + ofTags, "raw", nil},
		"first of two":       {"zraw: {sink: sink-file}, araw: " + ofTags, "zraw", []string{"zraw: 4 files of tags, which", "araw: 4 files of tags\n"}},
		"that feeds":         {"zraw: {sink: sink-file}, araw: {sink: sink-file, feeds: stages, config: {format: csv}}", "araw", []string{"araw: 4 files of tags, which"}},
		"several of no tags": {"a: {sink: sink-counts}, b: {sink: sink-base}, raw: " + ofTags + ", z: {sink: sink-older}", "raw", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, dir, m := runIn(t, sunk(t, test.sinks))
			if good(t, r); !run.IsGood(m.Condition) {
				t.Errorf("condition %v\n%s", m.Condition, reasons(m))
			}
			if c := m.Nodes["alice"].Channels["a"]; c.ReadFrom != test.from || m.Results[0].Skipped != "" {
				t.Errorf("the stage read from %q, want %q; skipped %q", c.ReadFrom, test.from, m.Results[0].Skipped)
			}
			contains(t, r.stdout, test.says...)
			verified(t, dir)
		})
	}
}

// TestOnlySinkKeepsNoTags: a run needs no files of tags, unless a stage does.
func TestOnlySinkKeepsNoTags(t *testing.T) {
	t.Parallel()
	alone := sunk(t, "counts: {sink: sink-counts}", "")
	r, dir, m := runIn(t, alone)
	if good(t, r); !run.IsGood(m.Condition) || len(m.Segments) != 1 || m.Segments[0].Kind != "table" {
		t.Errorf("condition %v, segments %v\n%s", m.Condition, m.Segments, reasons(m))
	}
	table, err := os.ReadFile(filepath.Join(dir, m.Segments[0].File))
	if want := "channel,segment,counts\na,0,1000\na,1,1000\nb,0,1000\nb,1,1000\n"; err != nil || string(table) != want {
		t.Errorf("the table is %q (%v), want %q", table, err, want)
	}
	verified(t, dir)

	for sinks, says := range map[string]string{
		"counts: {sink: sink-counts}":                                      "no sink keeps files of the tags of alice.a: they go to counts",
		"counts: {sink: sink-counts}, base: {sink: sink-base}":             "they go to counts, base",
		"raw: {sink: sink-file, takes: [alice.b]}, c: {sink: sink-counts}": "they go to c",
		"c: {sink: sink-counts, feeds: stages}, raw: {sink: sink-file}":    "plugin sink-counts keeps no files of tags",
	} {
		if r := runTsrun(t, t.TempDir(), "check", sunk(t, sinks)); r.code != 4 || !strings.Contains(r.stdout+r.stderr, says) {
			t.Errorf("check of %s: exit code %d, want 4 and %q\n%s%s", sinks, r.code, says, r.stderr, r.stdout)
		}
	}

	r, dir, m = runIn(t, sunk(t, "c: {sink: sink-older}")) // nothing says it before the run
	if r.code != 3 || !m.Has(run.Tainted) || m.Has(run.Incomplete) {
		t.Errorf("exit code %d, condition %v, want 3 and TAINTED\n%s", r.code, m.Condition, reasons(m))
	}
	contains(t, reasons(m), `no sink keeps the tags of alice.a in files that stages can read: sink "c" keeps no tags`)
	verified(t, dir)
}

// TestSinksThatLoseOrLie: what a sink says is compared with what was delivered,
// and with what is there.
func TestSinksThatLoseOrLie(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ sinks, says string }{
		"keeps fewer":        {"base: {sink: sink-base, config: {table: '', forget: 1}}", `INCOMPLETE alice.a the channel delivered 2000 tags, sink "base" says it has kept 1999`},
		"no such file":       {"c: {sink: sink-counts, config: {fault: missing}}", `INCOMPLETE alice. a file of sink "c" was made but never proven here: raw/alice/c/counts.csv`},
		"told twice":         {"c: {sink: sink-counts, config: {fault: twice}}", `it was told of before`},
		"outside":            {"c: {sink: sink-counts, config: {fault: outside}}", `it is no path below the sink's directory`},
		"a table as of tags": {"c: {sink: sink-older, config: {kind: ''}}", `the channel delivered 2000 tags, the files of sink "c" hold 0`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, dir, m := runIn(t, sunk(t, "raw: {sink: sink-file}, "+test.sinks))
			if r.code != 3 || !m.Has(run.Incomplete) {
				t.Errorf("exit code %d, condition %v, want 3 and INCOMPLETE", r.code, m.Condition)
			}
			contains(t, reasons(m), test.says)
			if m.Results[0].Skipped != "" || m.Nodes["alice"].Channels["a"].ReadFrom != "raw" {
				t.Errorf("the stage did not read raw: %+v", m.Results[0])
			}
			held := 0
			for _, s := range m.Segments {
				if s.Sink == "raw" && s.Verified {
					held++
				}
			}
			if held != 4 {
				t.Errorf("%d of 4 files of the good sink are here\n%s", held, dir)
			}
		})
	}
}
