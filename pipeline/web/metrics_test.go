package web

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"tsrun/internal/need"
	"tsrun/pipeline/align"
	"tsrun/pipeline/event"
	"tsrun/pipeline/run/runtest"
	"tsrun/pipeline/track"
	"tsrun/sdk/quantity"
)

var (
	metricName = regexp.MustCompile(`^tsrun_[a-z][a-z_]*$`)
	sampleLine = regexp.MustCompile(`^([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\[\\"n])*",?)+)\})? (\S+)$`)
)

// checkMetrics holds a text against the format of Prometheus, and what its own checker
// asks of names: help and type before the values, once; no value twice; counters end in
// _total, and nothing else does; base units.
func checkMetrics(text string) error {
	help, kinds, seen := map[string]bool{}, map[string]string{}, map[string]bool{}
	if !strings.HasSuffix(text, "\n") {
		return fmt.Errorf("the last line has no end")
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if rest, ok := strings.CutPrefix(line, "# HELP "); ok {
			name, words, _ := strings.Cut(rest, " ")
			if help[name] || words == "" || !metricName.MatchString(name) {
				return fmt.Errorf("help: %s", line)
			}
			help[name] = true
			continue
		}
		if rest, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, kind, _ := strings.Cut(rest, " ")
			if !help[name] || kinds[name] != "" || kind != "gauge" && kind != "counter" || strings.HasSuffix(name, "_total") != (kind == "counter") {
				return fmt.Errorf("type: %s", line)
			}
			kinds[name] = kind
			continue
		}
		m := sampleLine.FindStringSubmatch(line)
		if m == nil || kinds[m[1]] == "" || seen[m[1]+"{"+m[2]] || strings.HasSuffix(m[2], ",") {
			return fmt.Errorf("value: %s", line)
		}
		if _, err := strconv.ParseFloat(m[3], 64); err != nil {
			return fmt.Errorf("number: %s", line)
		}
		seen[m[1]+"{"+m[2]] = true
	}
	return nil
}

func TestMetrics(t *testing.T) {
	p := serve(t, nil)
	before, text := p.ask(t, "GET", "/metrics", nil)
	if err := checkMetrics(text); err != nil || !strings.HasPrefix(before.Header.Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Errorf("%v\n%s", err, text)
	}
	if strings.Contains(text, "tsrun_tags_total") || !strings.Contains(text, `tsrun_node_up{node="alice"} 0`) {
		t.Errorf("what is not known is a number:\n%s", text)
	}
	p.hub.Observe(event.StateChanged{State: "running"})
	p.hub.Observe(event.NodeJoined{Node: "alice", Host: "local"})
	p.hub.Observe(progress("alice", 700, 2))
	p.hub.Observe(event.TagsLost{Node: "alice", Channel: "signal"})
	p.hub.Observe(event.FileVerified{Node: "alice", File: "a", Size: 9})
	p.hub.Observe(event.Transfer{Node: "alice", File: "b", Done: 3, Size: 10})
	p.hub.Observe(event.Sync{Stage: "a\\\"\nb", Reference: "alice.signal", Target: "bob.idler", State: align.Tracking,
		Value: &align.Value{Knot: track.Knot{Time: 1e12, Offset: quantity.NewFine(-2000, 0), OffsetSD: 5, Frequency: 12}}})
	p.listen(t).until("verdict", "running")
	_, text = p.ask(t, "GET", "/metrics", nil)
	if err := checkMetrics(text); err != nil {
		t.Errorf("%v\n%s", err, text)
	}
	labels := `{reference="alice.signal",stage="a\\\"\nb",target="bob.idler"}`
	for _, want := range []string{`tsrun_state{state="running"} 1`, `tsrun_state{state="done"} 0`, `tsrun_node_up{node="alice"} 1`, `tsrun_node_up{node="bob"} 0`,
		`tsrun_tags_total{channel="alice.signal"} 700`, `tsrun_rate_hertz{channel="alice.signal"} 350`, `tsrun_losses_total{node="alice"} 1`,
		`tsrun_files_verified_bytes_total{node="alice"} 9`, `tsrun_transfer_pending_bytes{node="alice"} 7`, "tsrun_clock_offset_seconds" + labels + " -2e-09",
		"tsrun_clock_offset_sd_seconds" + labels + " 5e-12", "tsrun_clock_frequency_ratio" + labels + " 1.2e-08"} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("lacks %s:\n%s", want, text)
		}
	}
}

// The checker itself finds what is wrong.
func TestCheckerOfMetricsFinds(t *testing.T) {
	head := "# HELP tsrun_a_total x\n# TYPE tsrun_a_total counter\n"
	if err := checkMetrics(head + "tsrun_a_total{a=\"b\"} 1\ntsrun_a_total{a=\"c\"} NaN\n"); err != nil {
		t.Error(err)
	}
	for _, wrong := range []string{"", "tsrun_a_total 1\n", head + "tsrun_a_total 1", head + "tsrun_a_total x\n", head + head, head + "tsrun_a_total 1\ntsrun_a_total 2\n",
		head + "tsrun_a_total{a=\"\"\"} 1\n", head + "tsrun_a_total{A=\"\"} 1\n", "# HELP tsrun_a x\n# TYPE tsrun_a counter\n", "# HELP tsrun_a_total x\n# TYPE tsrun_a_total gauge\n"} {
		if checkMetrics(wrong) == nil {
			t.Errorf("passes: %q", wrong)
		}
	}
}

// knowing is a board that has a value of each number.
func knowing(t *testing.T) *board {
	t.Helper()
	b := newBoard(runtest.TwoNodes())
	left := progress("alice", 5, 1)
	left.DiskFree, left.DiskLeft = 1, &left.Elapsed
	b.apply(event.Stamped{Event: left})
	b.apply(event.Stamped{Event: event.Sync{Stage: "a", Value: &align.Value{}}})
	b.apply(event.Stamped{Event: event.Pairs{Stage: "a"}})
	b.apply(event.Stamped{Event: event.Finished{Manifest: runtest.FullManifest(t), Directory: t.TempDir()}})
	return b
}

// What Prometheus' own checker says of the numbers, of the rules, and of the lines that
// docs/metrics.md has for its configuration.
func TestPrometheusTakesThem(t *testing.T) {
	promtool := need.Tool(t, "promtool", "prometheus")
	check := func(in string, args ...string) (string, error) {
		cmd := exec.Command(promtool, append([]string{"check"}, args...)...)
		cmd.Stdin = strings.NewReader(in)
		said, err := cmd.CombinedOutput()
		return string(said), err
	}
	var text strings.Builder
	b := knowing(t)
	if err := writeMetrics(&text, b.metrics(b.at)); err != nil {
		t.Fatal(err)
	}
	if said, err := check(text.String(), "metrics"); err != nil || said != "" {
		t.Errorf("metrics: %v\n%s\n%s", err, said, text.String())
	}
	if said, err := check("# TYPE a_total gauge\na_total 1\n", "metrics"); err == nil {
		t.Errorf("a number with a wrong name and no help passes: %s", said)
	}
	if said, err := check("", "rules", "../../docs/metrics/alerts.yaml"); err != nil {
		t.Errorf("rules: %v\n%s", err, said)
	}
	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	_, config, _ := strings.Cut(string(page), "```\n")
	config, _, _ = strings.Cut(config, "```")
	file := filepath.Join(t.TempDir(), "prometheus.yml")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	if said, err := check("", "config", file); err != nil || !strings.Contains(config, "tsrun") {
		t.Errorf("configuration: %v\n%s\n%s", err, said, config)
	}
}

// Each number is in docs/metrics.md, and what that page, the rules and the dashboard
// name is a number.
func TestMetricsAreDocumented(t *testing.T) {
	b := knowing(t)
	known := map[string]bool{}
	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range b.metrics(b.at) {
		known[m.name] = true
		if len(m.samples) == 0 || !strings.Contains(string(page), "\n| `"+m.name+"` |") {
			t.Errorf("%s has %d values, or no row", m.name, len(m.samples))
		}
	}
	for _, file := range []string{"metrics.md", "metrics/alerts.yaml", "metrics/grafana.json"} {
		text, err := os.ReadFile("../../docs/" + file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range regexp.MustCompile(`tsrun_[a-z_]+`).FindAllString(string(text), -1) {
			if !known[name] {
				t.Errorf("%s names %s, which is no number", file, name)
			}
		}
	}
}
