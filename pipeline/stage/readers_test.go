package stage_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tsrun/internal/need"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/run/runtest"
	"tsrun/pipeline/stage"
)

// resultsOf is what a person's script does with the results of a run: it reads
// every table and every summary, and compares the one with the other.
const resultsOf = `
import glob, json, os, sys
import numpy, pandas

def refuse(constant): raise ValueError(constant + " in JSON")
def load(path): return json.load(open(path), parse_constant=refuse)
def wrong(*what): sys.exit(" ".join(map(str, what)))

def walk(value, where):
    if isinstance(value, dict):
        for key, inner in value.items(): walk(inner, where + "." + key)
    elif isinstance(value, list):
        for i, inner in enumerate(value): walk(inner, "%s[%d]" % (where, i))
    elif isinstance(value, (int, float)) and abs(value) >= (1e17 if "_ps" in where else 2**62):
        wrong(where, "is", value)

tables = {}
for path in sorted(glob.glob("results/*.json") + ["manifest.json"]):
    walk(load(path), path)
for path in sorted(glob.glob("results/*.csv")):
    name = os.path.basename(path)[:-4]
    table = tables[name] = pandas.read_csv(path, comment="#")
    for column in table:
        if table[column].dtype.kind not in "iuf": wrong(path, column, "is of", table[column].dtype)
        if len(table) and table[column].abs().max() >= 1e17: wrong(path, column, "holds", table[column].abs().max())
        if numpy.isinf(table[column]).any(): wrong(path, column, "is infinite")
    lines = [l for l in open(path) if not l.startswith("#")]
    numbers = numpy.genfromtxt(lines, delimiter=",", names=True, deletechars="")
    if numbers.size != len(table): wrong(path, numbers.size, "lines of numpy,", len(table), "of pandas")
    for column, of in zip(table, numbers.dtype.names):
        if not numpy.array_equal(numpy.atleast_1d(numbers[of]), table[column].to_numpy(float), equal_nan=True):
            wrong(path, column, "differs between numpy and pandas")

def near(x, y, what):
    if not abs(x - y) <= 1e-4 * max(abs(x), abs(y)): wrong(what, x, y)
summary = {r["stage"]: r["summary"] for r in load("manifest.json")["results"]}
for stage, s in summary.items():
    if s != load("results/%s.json" % stage) and stage != "align": wrong(stage, "is not in its file what it is in the manifest")
g2, s = tables["g2"], summary["g2"]
near(g2["counts"].sum(), s["pairs"], "pairs")
middle = g2["lower_edge_ps"].searchsorted(0)
near(g2["g2"][middle], s["g2_at_zero"], "g2 at zero")
highest = g2["g2"].idxmax()
near(g2["lower_edge_ps"][highest] + s["bin_ps"] // 2, s["highest_ps"], "place of the highest bin")
dark = tables["dark"]
if not (dark["g2"].isna().all() and dark["g2_sd"].isna().all() and (dark["counts"] == 0).all()): wrong("a channel without tags has a g2")
if summary["dark"]["g2_at_zero"] is not None or summary["dark"]["highest_ps"] is not None: wrong("a channel without tags has a g2")
h = tables["delays"]
near(h["lower_edge_ps"][h["counts"].idxmax()] + 25, summary["delays"]["peak_ps"], "place of the peak")
for name, of in zip(summary["rates"]["of"], summary["rates"]["channels"]):
    near(tables["rates"][name].sum(), of["tags"], "tags of " + name)
    if of["tags"] == 0 and (of["rate_hz"] is not None or of["first_ps"] is not None): wrong("a channel without tags has a rate")
near(len(tables["pairs"]), summary["pairs"]["one_to_one"] if (tables["pairs"]["one_to_one"] == 1).all() else summary["pairs"]["all"], "coincidences")
near(tables["scan"]["counts"].max(), tables["scan"]["counts"][(tables["scan"]["delay_ps"] - summary["scan"]["peak"]["highest_ps"]).abs().idxmin()], "height of the scan")
knots = tables["align"]
near(numpy.interp(summary["align"]["reference_ps"], knots["time_ps"], knots["offset_ps"]), summary["align"]["offset_ps"], "offset")
`

// wrapped are the numbers that jq finds beyond what a run of a second can hold.
const wrapped = `[paths(type == "number") as $p | select(($p | map(tostring) | join(".") | test("_ps")) and (getpath($p) | fabs) >= 1e17) | $p] | length`

// All results of a run are read by others' programs, and hold no number that is
// not what it should be.
func TestResultsAreReadByOthers(t *testing.T) {
	python := need.Python(t, "pandas, numpy", "python3-pandas")
	jq := need.Tool(t, "jq", "jq")
	tags := pairsOf(8, []int64{0, 400_000, 0}, []int64{0, 12_000_000_000, 0})
	start := func(kind string) stage.HistogramConfig {
		return stage.HistogramConfig{Start: "alice.signal", Stop: kind, Range: 100_000, Bin: 50}
	}
	r := &recipe.Recipe{Trigger: recipe.Trigger{Method: "scheduled"}, Stages: []recipe.Stage{
		alignStage("align", "alice.signal", "bob.idler"),
		pairsStage("pairs", "alice.signal", "bob.idler"),
		runtest.Stage("threefold", "coincidences", stage.CoincidencesConfig{Of: []string{"alice.signal", "alice.herald", "bob.idler"}, Window: 1000}),
		runtest.Stage("scan", "scan", stage.ScanConfig{Start: "alice.signal", Stop: "bob.idler", From: -20_000, To: 20_000, Step: 100, Window: 400}),
		runtest.Stage("delays", "histogram", start("bob.idler")),
		runtest.Stage("g2", "g2", stage.G2Config{HistogramConfig: start("bob.idler"), Period: 20_000_000}),
		runtest.Stage("dark", "g2", stage.G2Config{HistogramConfig: start("alice.dark"), Period: 20_000_000, Far: 50_000}),
		runtest.Stage("rates", "rates", stage.RatesConfig{Of: []string{"alice.signal", "bob.idler", "alice.dark"}, Bin: 10_000_000_000}),
	}}
	channels := map[string][]uint64{"alice.signal": tags[0], "alice.herald": tags[2], "bob.idler": tags[1], "alice.dark": nil}
	d, m, _, err := analysed(t, channels, r)
	if err != nil {
		t.Fatal(err)
	}
	if !m.Has(run.Tainted) || len(m.Reasons) < 1 || m.Reasons[0].Node != "alice" || m.Reasons[0].Channel != "dark" ||
		!strings.HasPrefix(m.Reasons[0].Message, "nothing was recorded") {
		t.Errorf("a channel without tags: %v, %+v", m.Condition, m.Reasons)
	}
	for _, r := range m.Results {
		if r.Skipped != "" {
			t.Errorf("%s was skipped: %s", r.Stage, r.Skipped)
		}
	}
	if err := d.WriteManifest(m); err != nil {
		t.Fatal(err)
	}
	script := exec.Command(python, "-W", "error", "-c", resultsOf)
	script.Dir = d.Path()
	if out, err := script.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	files, err := filepath.Glob(filepath.Join(d.Path(), "results", "*.json"))
	if err != nil || len(files) != len(r.Stages) {
		t.Fatalf("%d summaries of %d stages (%v)", len(files), len(r.Stages), err)
	}
	for _, file := range append(files, filepath.Join(d.Path(), run.ManifestFile)) {
		if out, err := exec.Command(jq, wrapped, file).CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "0" {
			t.Errorf("%s: %s numbers are not what they should be (%v)", file, out, err)
		}
	}
}
